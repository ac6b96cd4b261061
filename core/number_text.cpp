#include "core/number_text.h"

#include <array>
#include <cstdio>

namespace mayfly {

std::string number(const char* format, double value) {
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), format, value);
  return text.data();
}

}  // namespace mayfly
