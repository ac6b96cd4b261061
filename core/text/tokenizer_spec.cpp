#include "core/text/tokenizer_spec.h"

#include <set>
#include <utility>

#include <simdjson.h>

#include "core/text/space_marks.h"
#include "core/text/split_steps.h"
#include "core/text/tokenizer_fields.h"
#include "core/text/tokenizer_model.h"

namespace mayfly {

namespace {

using simdjson::dom::element;

constexpr std::size_t kLargestFile = 64 << 20;
constexpr std::size_t kDeepestJson = 64;

class SpecReader {
 public:
  explicit SpecReader(std::string_view what) : what_(what) {}

  Result<TokenizerSpec> read(const element& root) {
    if (const auto model = json_field(root, "model")) {
      spec_.over_characters = json_flag(*model, "byte_fallback", false);
      if (json_text(*model, "type") == "Unigram" && !spec_.over_characters) {
        return unsupported_tokenizer(what_, "model.byte_fallback", "false, in a Unigram model,");
      }
    }
    for (const auto step : {&SpecReader::read_added_tokens, &SpecReader::read_normalizer,
                            &SpecReader::read_pre_tokenizer, &SpecReader::read_decoder,
                            &SpecReader::read_model, &SpecReader::read_post_processor}) {
      if (Status done = (this->*step)(root); !done) return std::move(done.error());
    }
    return std::move(spec_);
  }

 private:
  Status read_added_tokens(const element& root);
  Status read_normalizer(const element& root);
  Status read_pre_tokenizer(const element& root);
  Status read_decoder(const element& root);
  Status read_post_processor(const element& root);
  Status read_post_processor_step(const element& step);
  Status read_template(const element& step);
  Status read_model(const element& root);

  std::string_view what_;
  TokenizerSpec spec_;
};

Status SpecReader::read_added_tokens(const element& root) {
  const auto list = json_field(root, "added_tokens");
  if (!list) return Unit{};
  simdjson::dom::array array;
  if (list->get(array) != simdjson::SUCCESS)
    return corrupt_tokenizer(what_, "added_tokens is not a list");
  std::set<std::string> seen;
  for (const element item : array) {
    AddedToken token;
    std::int64_t id = -1;
    if (item["id"].get(id) != simdjson::SUCCESS || id < 0 || id > INT32_MAX) {
      return corrupt_tokenizer(what_, "added_tokens: an entry has no id");
    }
    token.id = static_cast<TokenId>(id);
    token.content = json_text(item, "content");
    token.special = json_flag(item, "special", false);
    token.normalized = json_flag(item, "normalized", !token.special);
    token.single_word = json_flag(item, "single_word", false);
    token.lstrip = json_flag(item, "lstrip", false);
    token.rstrip = json_flag(item, "rstrip", false);
    if (token.content.empty())
      return corrupt_tokenizer(what_, "added_tokens: an entry has no content");
    if (!seen.insert(token.content).second) {
      return corrupt_tokenizer(what_, "added_tokens: \"" + token.content + "\" stands twice");
    }
    spec_.added_tokens.push_back(std::move(token));
  }
  return Unit{};
}

Status SpecReader::read_normalizer(const element& root) {
  if (spec_.over_characters) {
    auto spaces = read_space_marks(root, what_);
    if (!spaces) return std::move(spaces.error());
    spec_.spaces = *spaces;
    return Unit{};
  }
  const auto normalizer = json_field(root, "normalizer");
  if (!normalizer) return Unit{};
  const std::string type = json_text(*normalizer, "type");
  if (type == "NFC") {
    spec_.nfc = true;
    return Unit{};
  }
  simdjson::dom::array parts;
  if (type == "Sequence" && (*normalizer)["normalizers"].get(parts) == simdjson::SUCCESS) {
    for (const element part : parts) {
      const std::string name = json_text(part, "type");
      if (name != "NFC") return unsupported_tokenizer(what_, "normalizer.normalizers.type", name);
      spec_.nfc = true;
    }
    return Unit{};
  }
  return unsupported_tokenizer(what_, "normalizer.type", type);
}

Status SpecReader::read_pre_tokenizer(const element& root) {
  auto steps = read_split_steps(root, spec_.over_characters, spec_.spaces.split, what_);
  if (!steps) return std::move(steps.error());
  spec_.steps = std::move(*steps);
  return Unit{};
}

Status SpecReader::read_decoder(const element& root) {
  if (spec_.over_characters) return Unit{};  // read with the marks that it undoes
  const auto decoder = json_field(root, "decoder");
  const std::string type = decoder ? json_text(*decoder, "type") : "null";
  if (type != "ByteLevel") return unsupported_tokenizer(what_, "decoder.type", type);
  return Unit{};
}

Status SpecReader::read_post_processor(const element& root) {
  const auto step = json_field(root, "post_processor");
  return step ? read_post_processor_step(*step) : Unit{};
}

Status SpecReader::read_post_processor_step(const element& step) {
  const std::string type = json_text(step, "type");
  if (type == "ByteLevel") return Unit{};  // offsets only
  if (type == "TemplateProcessing") return read_template(step);
  simdjson::dom::array parts;
  if (type != "Sequence" || step["processors"].get(parts) != simdjson::SUCCESS) {
    return unsupported_tokenizer(what_, "post_processor.type", type);
  }
  for (const element part : parts) {
    if (Status done = read_post_processor_step(part); !done) return done;
  }
  return Unit{};
}

// Of the template for one text: {"SpecialToken": {"id": ...}} and once {"Sequence": ...}, the text.
Status SpecReader::read_template(const element& step) {
  simdjson::dom::array parts;
  if (step["single"].get(parts) != simdjson::SUCCESS) {
    return corrupt_tokenizer(what_, "post_processor has no \"single\"");
  }
  std::vector<TokenId>* side = &spec_.surround.before;
  for (const element part : parts) {
    if (json_field(part, "Sequence")) {
      side = &spec_.surround.after;
      continue;
    }
    std::string_view name;
    simdjson::dom::array ids;
    simdjson::dom::object tokens;
    if (part["SpecialToken"]["id"].get(name) != simdjson::SUCCESS ||
        step["special_tokens"].get(tokens) != simdjson::SUCCESS ||
        tokens.at_key(name)["ids"].get(ids) != simdjson::SUCCESS) {
      return corrupt_tokenizer(
          what_, "post_processor.single names a token that special_tokens does not explain");
    }
    for (const element value : ids) {
      std::int64_t id = -1;
      if (value.get(id) != simdjson::SUCCESS || id < 0 || id > INT32_MAX) {
        return corrupt_tokenizer(what_,
                                 "post_processor.special_tokens has an entry that is no token id");
      }
      side->push_back(static_cast<TokenId>(id));
    }
  }
  return Unit{};
}

Status SpecReader::read_model(const element& root) {
  return read_tokenizer_model(root, what_, spec_);
}

}  // namespace

Result<TokenizerSpec> parse_tokenizer_json(std::string_view json, std::string_view what) {
  if (json.size() > kLargestFile) return corrupt_tokenizer(what, "is larger than 64 MB");
  simdjson::dom::parser parser;
  element root;
  if (parser.allocate(json.size() + 1, kDeepestJson) != simdjson::SUCCESS) {
    return tokenizer_error(what, ErrorKind::out_of_memory, "there is no memory to read it");
  }
  if (const auto error = parser.parse(json.data(), json.size(), true).get(root)) {
    return corrupt_tokenizer(what,
                             std::string("is not valid JSON: ") + simdjson::error_message(error));
  }
  if (!root.is_object()) return corrupt_tokenizer(what, "is not a JSON object");
  return SpecReader(what).read(root);
}

}  // namespace mayfly
