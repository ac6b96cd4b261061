#include "core/text/split_steps.h"

#include <array>
#include <string>
#include <utility>

#include "core/text/tokenizer_fields.h"

namespace mayfly {

namespace {

using simdjson::dom::element;

// GPT-2's pattern, which ByteLevel stands for (tokenizers: pre_tokenizers/byte_level.rs).
constexpr std::string_view kGpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

std::string escaped_for_regex(std::string_view text) {
  std::string pattern;
  for (const char c : text) {
    if (std::string_view("\\^$.[]|()?*+{}/-#&~ ").find(c) != std::string_view::npos) {
      pattern += '\\';
    }
    pattern += c;
  }
  return pattern;
}

// Patterns are Oniguruma's. What means something else in PCRE2, or nothing; "" when there is none.
std::string_view foreign_construct(std::string_view pattern) {
  for (const std::string_view construct : {"&&", "\\h", "\\H"}) {
    if (pattern.find(construct) != std::string_view::npos) return construct;
  }
  // {2,3}+ repeats the repetition there and is possessive here; \p{L}+ is neither.
  for (std::size_t at = pattern.find("}+"); at != std::string_view::npos;
       at = pattern.find("}+", at + 1)) {
    const std::size_t open = pattern.rfind('{', at);
    if (open == std::string_view::npos) continue;
    const std::string_view inside = pattern.substr(open + 1, at - open - 1);
    if (inside.find_first_not_of("0123456789,") == std::string_view::npos) return "{n,m}+";
  }
  return {};
}

class SplitReader {
 public:
  SplitReader(bool over_characters, bool cut_at_marks, std::string_view what)
      : over_characters_(over_characters), cut_at_marks_(cut_at_marks), what_(what) {}

  Status read(const element& root);
  std::vector<SplitStep> take() {
    return std::move(steps_);
  }

 private:
  Status read_split_step(const element& step, const std::string& field, bool last);
  Status read_metaspace_split();
  Status read_split(const element& step, const std::string& field);
  Status read_byte_level(const element& step, const std::string& field, bool last);

  bool over_characters_, cut_at_marks_;
  std::string_view what_;
  std::vector<SplitStep> steps_;
  bool byte_level_ = false;
};

Status SplitReader::read(const element& root) {
  const auto pre_tokenizer = json_field(root, "pre_tokenizer");
  if (!pre_tokenizer && over_characters_) return Unit{};
  if (!pre_tokenizer) return unsupported_tokenizer(what_, "pre_tokenizer", "null");
  simdjson::dom::array steps;
  if (json_text(*pre_tokenizer, "type") != "Sequence") {
    return read_split_step(*pre_tokenizer, "pre_tokenizer", true);
  }
  if ((*pre_tokenizer)["pretokenizers"].get(steps) != simdjson::SUCCESS) {
    return corrupt_tokenizer(what_, "pre_tokenizer.pretokenizers is not a list");
  }
  std::size_t index = 0;
  for (const element step : steps) {
    const std::string field = "pre_tokenizer.pretokenizers[" + std::to_string(index) + "]";
    const bool last = ++index == steps.size();
    if (Status done = read_split_step(step, field, last); !done) return done;
  }
  if (!byte_level_ && !over_characters_) {
    return unsupported_tokenizer(what_, "pre_tokenizer", "without ByteLevel");
  }
  return Unit{};
}

Status SplitReader::read_split_step(const element& step, const std::string& field, bool last) {
  const std::string type = json_text(step, "type");
  if (over_characters_ && type == "Metaspace") return read_metaspace_split();
  if (type == "ByteLevel" && !over_characters_) return read_byte_level(step, field, last);
  if (last && !over_characters_)
    return unsupported_tokenizer(what_, field + ".type",
                                 type + " (the last step is not ByteLevel)");
  if (type == "Split") return read_split(step, field);
  if (type == "Digits") {
    steps_.push_back(SplitStep{.kind = SplitStep::Kind::digits,
                               .pattern = {},
                               .behavior = json_flag(step, "individual_digits", false)
                                               ? SplitStep::Behavior::isolated
                                               : SplitStep::Behavior::contiguous});
    return Unit{};
  }
  return unsupported_tokenizer(what_, field + ".type", type);
}

// Its marks are read by read_space_marks; here it is a cut before each mark.
Status SplitReader::read_metaspace_split() {
  if (!cut_at_marks_) return Unit{};
  steps_.push_back(SplitStep{.kind = SplitStep::Kind::regex,
                             .pattern = std::string(kSpaceMark),
                             .behavior = SplitStep::Behavior::merged_with_next});
  return Unit{};
}

Status SplitReader::read_split(const element& step, const std::string& field) {
  using Behavior = SplitStep::Behavior;
  static constexpr std::array kBehaviors = {
      std::pair{std::string_view("Isolated"), Behavior::isolated},
      std::pair{std::string_view("Removed"), Behavior::removed},
      std::pair{std::string_view("Contiguous"), Behavior::contiguous},
      std::pair{std::string_view("MergedWithPrevious"), Behavior::merged_with_previous},
      std::pair{std::string_view("MergedWithNext"), Behavior::merged_with_next}};
  SplitStep split{.kind = SplitStep::Kind::regex, .pattern = {}};
  const auto pattern = json_field(step, "pattern");
  if (!pattern) return corrupt_tokenizer(what_, field + ".pattern is missing");
  split.pattern = json_text(*pattern, "Regex");
  if (split.pattern.empty()) split.pattern = escaped_for_regex(json_text(*pattern, "String"));
  if (split.pattern.empty()) return corrupt_tokenizer(what_, field + ".pattern is empty");
  if (const auto construct = foreign_construct(split.pattern); !construct.empty()) {
    return unsupported_tokenizer(what_, field + ".pattern", "with " + std::string(construct));
  }
  const std::string behavior = json_text(step, "behavior");
  bool known = false;
  for (const auto& [name, value] : kBehaviors) {
    if (behavior != name) continue;
    split.behavior = value;
    known = true;
  }
  if (!known) return unsupported_tokenizer(what_, field + ".behavior", behavior);
  split.invert = json_flag(step, "invert", false);
  steps_.push_back(std::move(split));
  return Unit{};
}

Status SplitReader::read_byte_level(const element& step, const std::string& field, bool last) {
  if (!last) return unsupported_tokenizer(what_, field + ".type", "ByteLevel before the last step");
  if (json_flag(step, "add_prefix_space", true)) {
    return unsupported_tokenizer(what_, field + ".add_prefix_space", "true");
  }
  if (json_flag(step, "use_regex", true)) {
    steps_.push_back(
        SplitStep{.kind = SplitStep::Kind::regex, .pattern = std::string(kGpt2Pattern)});
  }
  byte_level_ = true;
  return Unit{};
}

}  // namespace

Result<std::vector<SplitStep>> read_split_steps(const element& root, bool over_characters,
                                                bool cut_at_marks, std::string_view what) {
  SplitReader reader(over_characters, cut_at_marks, what);
  if (Status done = reader.read(root); !done) return std::move(done.error());
  return reader.take();
}

}  // namespace mayfly
