#include "core/config/data_config.h"

#include <charconv>

namespace mayfly {

std::optional<std::int64_t> samples_in_name(std::string_view path) {
  static constexpr std::string_view kWord = "filtered-";
  static constexpr std::string_view kEnding = ".jsonl";
  if (!path.ends_with(kEnding)) return {};
  path.remove_suffix(kEnding.size());
  const auto word = path.rfind(kWord);
  if (word == std::string_view::npos) return {};
  const std::string_view digits = path.substr(word + kWord.size());
  if (digits.empty() || digits.find_first_not_of("0123456789") != std::string_view::npos) return {};
  std::int64_t count = 0;
  const auto [end, failure] = std::from_chars(digits.data(), digits.data() + digits.size(), count);
  if (failure != std::errc{} || count < 1) return {};
  return count;
}

}  // namespace mayfly
