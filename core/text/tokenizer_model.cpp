#include "core/text/tokenizer_model.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>

#include "core/text/byte_alphabet.h"
#include "core/text/tokenizer_fields.h"

namespace mayfly {

namespace {

using simdjson::dom::element;

// "<0x0A>", as bytes without a character of their own are written. nullopt for anything else.
std::optional<char> byte_of_fallback(std::string_view token) {
  int value = 0;
  if (token.size() != 6 || !token.starts_with("<0x") || token.back() != '>') return std::nullopt;
  const auto [end, error] = std::from_chars(token.data() + 3, token.data() + 5, value, 16);
  if (error != std::errc() || end != token.data() + 5) return std::nullopt;
  return static_cast<char>(value);
}

class ModelReader {
 public:
  ModelReader(std::string_view what, TokenizerSpec& spec) : what_(what), spec_(spec) {}

  Status read(const element& root);

 private:
  Status read_vocabulary(const element& model);
  Status add_entry(std::string_view token, TokenId id);
  Status read_unigram(const element& model);
  Status check_characters();
  Status read_merges(const element& model);
  Status read_merge(std::string_view left, std::string_view right, std::size_t index);

  std::string_view what_;
  TokenizerSpec& spec_;
  std::unordered_map<std::string_view, TokenId> ids_;  // as written in the file
};

Status ModelReader::read(const element& root) {
  const auto model = json_field(root, "model");
  if (!model) return corrupt_tokenizer(what_, "model is missing");
  // Files of before 2019 leave the type out; it is BPE when there are merges.
  const std::string type = json_text(*model, "type");
  if (type == "Unigram") return read_unigram(*model);
  if (type != "BPE" && !(type.empty() && json_field(*model, "merges"))) {
    return unsupported_tokenizer(what_, "model.type", type);
  }
  for (const std::string_view field : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    const std::string value = json_text(*model, field);
    if (!value.empty()) return unsupported_tokenizer(what_, "model." + std::string(field), value);
  }
  double dropout = 0;
  if (const auto field = json_field(*model, "dropout");
      field && field->get(dropout) == simdjson::SUCCESS && dropout > 0) {
    return unsupported_tokenizer(what_, "model.dropout", std::to_string(dropout));
  }
  spec_.ignore_merges = json_flag(*model, "ignore_merges", false);
  spec_.unknown_token = json_text(*model, "unk_token");
  spec_.fuse_unknown = json_flag(*model, "fuse_unk", false);
  if (Status done = read_vocabulary(*model); !done) return done;
  if (Status done = read_merges(*model); !done) return done;
  return spec_.over_characters ? check_characters() : Unit{};
}

Status ModelReader::read_vocabulary(const element& model) {
  simdjson::dom::object vocabulary;
  if (model["vocab"].get(vocabulary) != simdjson::SUCCESS) {
    return corrupt_tokenizer(what_, "model.vocab is not an object");
  }
  ids_.reserve(vocabulary.size());
  spec_.vocabulary.reserve(vocabulary.size());
  for (const auto& [token, value] : vocabulary) {
    std::int64_t id = -1;
    if (value.get(id) != simdjson::SUCCESS || id < 0 || id > INT32_MAX) {
      return corrupt_tokenizer(
          what_, "model.vocab: the id of \"" + std::string(token) + "\" is not a number");
    }
    if (Status done = add_entry(token, static_cast<TokenId>(id)); !done) return done;
  }
  return Unit{};
}

Status ModelReader::add_entry(std::string_view token, TokenId id) {
  if (!ids_.emplace(token, id).second) {
    return corrupt_tokenizer(what_, "model.vocab: \"" + std::string(token) + "\" stands twice");
  }
  if (spec_.over_characters) {
    const auto byte = byte_of_fallback(token);
    spec_.vocabulary.push_back({byte ? std::string(1, *byte) : std::string(token), id, !byte});
    return Unit{};
  }
  auto bytes = bytes_of_byte_level(token);
  const bool of_bytes = bytes.has_value();
  spec_.vocabulary.push_back({of_bytes ? std::move(*bytes) : std::string(token), id, of_bytes});
  return Unit{};
}

// Its vocabulary is a list of [token, score]; the place in it is the id.
Status ModelReader::read_unigram(const element& model) {
  simdjson::dom::array vocabulary;
  if (model["vocab"].get(vocabulary) != simdjson::SUCCESS) {
    return corrupt_tokenizer(what_, "model.vocab is not a list");
  }
  if (!json_field(model, "unk_id")) return unsupported_tokenizer(what_, "model.unk_id", "null");
  for (const element entry : vocabulary) {
    simdjson::dom::array pair;
    std::string_view token;
    double score = 0;
    const auto id = static_cast<TokenId>(spec_.scored_tokens.size());
    if (entry.get(pair) != simdjson::SUCCESS || pair.size() != 2 ||
        pair.at(0).get(token) != simdjson::SUCCESS || token.empty() ||
        pair.at(1).get(score) != simdjson::SUCCESS) {
      return corrupt_tokenizer(
          what_, "model.vocab[" + std::to_string(id) + "] is not a token and its score");
    }
    if (Status done = add_entry(token, id); !done) return done;
    spec_.scored_tokens.push_back({std::string(token), score});
  }
  return check_characters();
}

// Without all 256 bytes some text would become "unknown", of unknown length. And where no merge
// reaches over the beginning of a mark, the text may be cut there: pieces that repeat are known.
Status ModelReader::check_characters() {
  std::array<bool, 256> there{};
  std::unordered_map<TokenId, std::string_view> token_of;
  for (const TokenizerSpec::Entry& entry : spec_.vocabulary) {
    token_of[entry.id] = entry.token;
    if (!entry.of_bytes) there[static_cast<unsigned char>(entry.token.front())] = true;
  }
  if (std::find(there.begin(), there.end(), false) != there.end()) {
    return unsupported_tokenizer(what_, "model.byte_fallback", "true, without all 256 bytes,");
  }
  const bool reaches_over =
      std::any_of(spec_.merges.begin(), spec_.merges.end(), [&](const TokenizerSpec::Merge& merge) {
        return token_of[merge.right].starts_with(kSpaceMark) &&
               !token_of[merge.left].ends_with(kSpaceMark);
      });
  // Unigram cuts whole texts: sums of scores over parts of them are rounded otherwise.
  if (!spec_.scored_tokens.empty() || spec_.ignore_merges || reaches_over) return Unit{};
  const std::string mark(kSpaceMark);
  spec_.steps.push_back(
      SplitStep{.kind = SplitStep::Kind::regex, .pattern = mark + "+[^" + mark + "]*"});
  return Unit{};
}

Status ModelReader::read_merges(const element& model) {
  simdjson::dom::array merges;
  if (model["merges"].get(merges) != simdjson::SUCCESS) {
    return corrupt_tokenizer(what_, "model.merges is not a list");
  }
  spec_.merges.reserve(merges.size());
  std::size_t index = 0;
  for (const element merge : merges) {
    std::string_view left, right;
    simdjson::dom::array pair;
    if (merge.get(left) == simdjson::SUCCESS) {
      const std::size_t space = left.find(' ');
      if (space != std::string_view::npos) {
        right = left.substr(space + 1);
        left = left.substr(0, space);
      }
    } else if (merge.get(pair) == simdjson::SUCCESS && pair.size() == 2) {
      if (pair.at(0).get(left) != simdjson::SUCCESS) left = {};
      if (pair.at(1).get(right) != simdjson::SUCCESS) right = {};
    }
    if (Status done = read_merge(left, right, index++); !done) return done;
  }
  return Unit{};
}

Status ModelReader::read_merge(std::string_view left, std::string_view right, std::size_t index) {
  if (left.empty() || right.empty()) {
    return corrupt_tokenizer(what_,
                             "model.merges[" + std::to_string(index) + "] is not a pair of tokens");
  }
  const auto left_id = ids_.find(left);
  const auto right_id = ids_.find(right);
  const auto merged_id = ids_.find(std::string(left) + std::string(right));
  if (left_id == ids_.end() || right_id == ids_.end() || merged_id == ids_.end()) {
    return corrupt_tokenizer(what_, "model.merges[" + std::to_string(index) + "]: \"" +
                                        std::string(left) + "\" and \"" + std::string(right) +
                                        "\" or both together are not in the vocabulary");
  }
  spec_.merges.push_back({left_id->second, right_id->second, merged_id->second});
  return Unit{};
}

}  // namespace

Status read_tokenizer_model(const element& root, std::string_view what, TokenizerSpec& spec) {
  return ModelReader(what, spec).read(root);
}

}  // namespace mayfly
