#include "core/provider/gpu_name.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <vector>

namespace mayfly {

namespace {

// Words of a name in capitals: letters and digits that stand together.
std::vector<std::string> words_of(std::string_view name) {
  std::vector<std::string> words;
  bool inside = false;
  for (const char letter : name) {
    const bool counts = std::isalnum(static_cast<unsigned char>(letter)) != 0;
    if (counts && !inside) words.emplace_back();
    if (counts) {
      words.back() += static_cast<char>(std::toupper(static_cast<unsigned char>(letter)));
    }
    inside = counts;
  }
  return words;
}

// Names that stand alone as one word.
constexpr std::array<std::string_view, 36> kModels = {
    "GB300", "GB200", "GH200", "B300",  "B200",  "H200",   "H100",   "H20",   "A100",
    "A800",  "H800",  "A6000", "A5000", "A4500", "A4000",  "A40",    "A30",   "A16",
    "A10G",  "A10",   "A2",    "L40S",  "L40",   "L4",     "T4",     "T4G",   "V100",
    "P100",  "P40",   "P4",    "K80",   "M60",   "MI300X", "MI325X", "MI250", "MI210"};

bool is_number(const std::string& word) {
  return !word.empty() && std::all_of(word.begin(), word.end(), [](unsigned char letter) {
    return std::isdigit(letter) != 0;
  });
}

// Consumer and workstation cards have a number with words around it: "RTX 4090", "RTX 6000 Ada".
std::string numbered(const std::vector<std::string>& words) {
  std::string series, number, ending;
  for (const std::string& word : words) {
    if (word == "RTX" || word == "GTX") series = word;
    if ((word.starts_with("RTX") || word.starts_with("GTX")) && is_number(word.substr(3))) {
      series = word.substr(0, 3);
      number = word.substr(3);
    }
    if (!series.empty() && number.empty() && word.size() == 4 && is_number(word)) number = word;
    if (word == "TI" || word == "SUPER" || word == "PRO" || word == "ADA") ending += word;
  }
  return number.empty() ? "" : series + number + ending;
}

}  // namespace

std::string gpu_model(std::string_view name) {
  const std::vector<std::string> words = words_of(name);
  for (const std::string& word : words) {
    if (std::find(kModels.begin(), kModels.end(), word) != kModels.end()) return word;
    if (word.starts_with("RTXA") && is_number(word.substr(4))) return word.substr(3);
  }
  if (const std::string card = numbered(words); !card.empty()) return card;
  std::string all;
  for (const std::string& word : words) all += word == "NVIDIA" || word == "AMD" ? "" : word;
  return all;
}

int memory_in_name_gb(std::string_view name) {
  const std::vector<std::string> words = words_of(name);
  for (std::size_t i = 0; i < words.size(); ++i) {
    constexpr std::size_t kDigits = 4;
    if (words[i].ends_with("GB") && is_number(words[i].substr(0, words[i].size() - 2)) &&
        words[i].size() <= kDigits + 2) {
      return std::stoi(words[i]);
    }
    if (i > 0 && words[i] == "GB" && is_number(words[i - 1]) && words[i - 1].size() <= kDigits) {
      return std::stoi(words[i - 1]);
    }
  }
  return 0;
}

}  // namespace mayfly
