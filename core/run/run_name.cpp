#include "core/run/run_name.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <optional>

namespace mayfly {

namespace {

constexpr std::size_t kLongestName = 96;
constexpr std::size_t kLongestWord = 36;  // of model and dataset in a made-up name

bool is_letter_or_digit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

std::string last_folder(std::string_view path) {
  while (!path.empty() && path.back() == '/') path.remove_suffix(1);
  const auto slash = path.rfind('/');
  return std::string(slash == std::string_view::npos ? path : path.substr(slash + 1));
}

// "train.messages.jsonl" -> "train"
std::string stem(std::string_view path) {
  const std::string name = last_folder(path);
  return name.substr(0, name.find('.', 1));
}

std::optional<std::int64_t> whole_number(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || fault != std::errc() || end != text.data() + text.size() || value < 0) {
    return std::nullopt;
  }
  return value;
}

std::string shortened(std::string part) {
  if (part.size() > kLongestWord) part.resize(kLongestWord);
  while (!part.empty() && !is_letter_or_digit(part.back())) part.pop_back();
  return part;
}

Result<std::string> checked(std::string name, const std::string& source) {
  const bool good_characters = std::all_of(name.begin(), name.end(), [](char c) {
    return is_letter_or_digit(c) || c == '.' || c == '_' || c == '-';
  });
  const bool good_ends =
      !name.empty() && is_letter_or_digit(name.front()) && is_letter_or_digit(name.back());
  const bool doubled = name.find("--") != std::string::npos || name.find("..") != std::string::npos;
  if (good_characters && good_ends && !doubled && name.size() <= kLongestName) return name;
  return Error{ErrorKind::invalid_config, source + ": \"" + name + "\" cannot be the name of a run",
               "use letters, digits, '.', '_' and single '-' between them, at most " +
                   std::to_string(kLongestName) + " characters"};
}

}  // namespace

RunNameOverrides run_name_overrides() {
  const auto variable = [](const char* name) {
    const char* value = std::getenv(name);
    return std::string(value != nullptr ? value : "");
  };
  return {variable("FORCE_RUN_NAME"), variable("FORCE_RUN_INDEX"), variable("USE_LEGACY_NAMING")};
}

std::string slug(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (is_letter_or_digit(c)) {
      out += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    } else if (c == '.' && !out.empty() && is_letter_or_digit(out.back())) {
      out += '.';
    } else if (!out.empty() && is_letter_or_digit(out.back())) {
      out += '-';
    }
  }
  while (!out.empty() && !is_letter_or_digit(out.back())) out.pop_back();
  return out;
}

std::string run_name_prefix(const RunConfig& config) {
  const auto named = [](std::string part, const char* otherwise) {
    part = shortened(slug(part));
    return part.empty() ? std::string(otherwise) : part;
  };
  std::string size = "full";
  if (config.data.sample_size) size = std::to_string(*config.data.sample_size);
  if (config.data.max_train_samples) {
    const std::int64_t most = *config.data.max_train_samples;
    size = std::to_string(std::min(most, config.data.sample_size.value_or(most)));
  }
  std::string dataset = config.data.path.empty() ? "" : stem(config.data.path.front());
  if (!config.data.mix.empty()) dataset = "mix";
  return named(last_folder(config.model.base), "model") + "-" + named(dataset, "data") + "-" + size;
}

Result<std::string> choose_run_name(const RunConfig& config, const std::vector<std::string>& taken,
                                    const RunNameOverrides& overrides) {
  if (!overrides.legacy.empty() && overrides.legacy != "0") {
    return Error{ErrorKind::unsupported, "USE_LEGACY_NAMING: the old folder layout is not built",
                 "unset it, or set FORCE_RUN_NAME to the name you want"};
  }
  if (!overrides.name.empty()) return checked(overrides.name, "FORCE_RUN_NAME");
  if (config.run.name) return checked(*config.run.name, "run.name");

  const std::string start = run_name_prefix(config) + "-run";
  if (!overrides.index.empty()) {
    const std::optional<std::int64_t> index = whole_number(overrides.index);
    if (!index) {
      return Error{ErrorKind::invalid_config,
                   "FORCE_RUN_INDEX: \"" + overrides.index + "\" is not a whole number",
                   "give a number such as FORCE_RUN_INDEX=7"};
    }
    return start + std::to_string(*index);
  }
  std::int64_t highest = 0;
  for (const std::string& name : taken) {
    if (name.rfind(start, 0) != 0) continue;
    highest = std::max(highest, whole_number(name.substr(start.size())).value_or(0));
  }
  return start + std::to_string(highest + 1);
}

}  // namespace mayfly
