#include "trainer/written_vocabulary.h"

#include <algorithm>
#include <array>
#include <optional>

#include <nlohmann/json.hpp>

#include "core/json.h"
#include "core/text/tokenizer_spec.h"

namespace mayfly {

namespace {

using nlohmann::json;

struct CutRow {
  std::string_view name;
  bool digits;  // a step Digits, one by one, before the pattern
  std::string_view pattern;
};
constexpr std::string_view kGpt2Cut =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
// Written here as tokenizer.json has them.
constexpr std::array kCuts = {
    CutRow{"smollm", true, kGpt2Cut},
    CutRow{"gpt-2", false, kGpt2Cut},
    CutRow{
        "llama-bpe", false,
        R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"},
    CutRow{
        "qwen2", false,
        R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"},
};

// nullopt: none of the rows.
std::optional<std::string> cut_name(const std::vector<SplitStep>& steps) {
  using Behavior = SplitStep::Behavior;
  for (const CutRow& row : kCuts) {
    const std::size_t regex = row.digits ? 1 : 0;
    if (steps.size() != regex + 1) continue;
    if (row.digits &&
        (steps[0].kind != SplitStep::Kind::digits || steps[0].behavior != Behavior::isolated)) {
      continue;
    }
    const SplitStep& step = steps[regex];
    const bool plain = step.behavior == Behavior::isolated && !step.invert;
    if (step.kind == SplitStep::Kind::regex && plain && step.pattern == row.pattern) {
      return std::string(row.name);
    }
  }
  return std::nullopt;
}

// A token that is written like <|im_start|> is a mark, whatever the file says of it.
bool looks_like_a_mark(const std::string& token) {
  return token.starts_with("<|") && token.ends_with("|>");
}

class VocabularyReader {
 public:
  VocabularyReader(WrittenVocabulary& written, std::string_view what)
      : written_(written), what_(what) {}

  Status read(const json& root) {
    const json model = root.value("model", json::object());
    const json vocabulary = model.value("vocab", json::object());
    for (const auto& [token, id] : vocabulary.items()) {
      if (Status put = place(token, id, WrittenVocabulary::kNormal); !put) return put;
    }
    for (const json& added : root.value("added_tokens", json::array())) {
      const std::string token = text_at(added, "content");
      const bool mark = added.value("special", false) || looks_like_a_mark(token);
      const auto kind = mark ? WrittenVocabulary::kControl : WrittenVocabulary::kUserDefined;
      if (Status put = place(token, added.value("id", json()), kind); !put) return put;
    }
    for (const json& merge : model.value("merges", json::array())) {
      const bool pair = merge.is_array() && merge.size() == 2;
      written_.merges.push_back(pair ? merge[0].get<std::string>() + " " +
                                           merge[1].get<std::string>()
                                     : merge.get<std::string>());
    }
    return Unit{};
  }

 private:
  Status place(const std::string& token, const json& id, WrittenVocabulary::Kind kind) {
    const std::int64_t at = id.is_number_integer() ? id.get<std::int64_t>() : -1;
    if (at < 0 || at >= static_cast<std::int64_t>(written_.tokens.size())) {
      return Error{ErrorKind::unsupported,
                   what_ + ": the token \"" + token + "\" has an id beyond the model's vocabulary",
                   "its vocab_size in config.json is " + std::to_string(written_.tokens.size())};
    }
    written_.tokens[static_cast<std::size_t>(at)] = token;
    written_.kinds[static_cast<std::size_t>(at)] = kind;
    return Unit{};
  }

  WrittenVocabulary& written_;
  std::string what_;
};

}  // namespace

Result<WrittenVocabulary> read_written_vocabulary(std::string_view text, std::int64_t size,
                                                  std::string_view what) {
  // Checks the file too: what is read below is of the right type.
  const Result<TokenizerSpec> spec = parse_tokenizer_json(text, what);
  if (!spec) return spec.error();
  if (spec->over_characters) {
    return Error{ErrorKind::unsupported,
                 std::string(what) + ": a tokenizer over characters (SentencePiece's)",
                 "only byte-level tokenizers are exported; llama.cpp's own converter reads it"};
  }
  const auto name = cut_name(spec->steps);
  if (!name) {
    return Error{ErrorKind::unsupported,
                 std::string(what) + ": its pre-tokenizer has no name that is known here",
                 "known are those of SmolLM, GPT-2, Llama 3 and Qwen 2"};
  }
  const Result<json> root = parse_json(text, what);
  if (!root) return root.error();
  WrittenVocabulary written;
  written.pre_tokenizer = *name;
  for (std::int64_t id = 0; id < size; ++id) {
    written.tokens.push_back("[PAD" + std::to_string(id) + "]");
    written.kinds.push_back(WrittenVocabulary::kUnused);
  }
  if (Status read = VocabularyReader(written, what).read(*root); !read) return read.error();
  return written;
}

}  // namespace mayfly
