// Reads paths from standard input and says of each whether our reader takes it: "yes" or why not.
#include <iostream>
#include <string>

#include "core/model/safetensors.h"

int main() {
  for (std::string path; std::getline(std::cin, path);) {
    const auto file = mayfly::SafetensorsFile::open(path);
    std::cout << (file ? std::string("yes") : file.error().message) << "\n";
  }
}
