#include "core/text/tokenizer_spec.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>

#include <simdjson.h>

#include "core/text/space_marks.h"
#include "core/text/unicode.h"

namespace mayfly {

namespace {

using simdjson::dom::element;
using simdjson::dom::object;

constexpr std::size_t kLargestFile = 64 << 20;
constexpr std::size_t kDeepestJson = 64;

// GPT-2's pattern, which ByteLevel stands for (tokenizers: pre_tokenizers/byte_level.rs).
constexpr std::string_view kGpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

// The byte-level alphabet: the 188 bytes that print stand for themselves (as Latin-1), the others
// for U+0100 and on, in order (GPT-2's bytes_to_unicode).
struct ByteAlphabet {
  std::array<std::int16_t, 0x144> byte_of;  // by code point; -1: not in the alphabet
  std::array<std::uint16_t, 256> point_of;  // the code point of each byte
  ByteAlphabet() {
    byte_of.fill(-1);
    std::size_t next = 0x100;
    for (std::size_t byte = 0; byte < 256; ++byte) {
      const bool prints = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte != 0xad);
      const std::size_t point = prints ? byte : next++;
      byte_of[point] = static_cast<std::int16_t>(byte);
      point_of[byte] = static_cast<std::uint16_t>(point);
    }
  }
};

const ByteAlphabet& byte_alphabet() {
  static const ByteAlphabet alphabet;
  return alphabet;
}

Error fault(std::string_view what, ErrorKind kind, std::string message) {
  return Error{kind, std::move(message), {}, {std::string(what)}};
}

Error unsupported(std::string_view what, const std::string& field, std::string_view value) {
  return fault(what, ErrorKind::unsupported,
               field + " " + std::string(value) + " is not supported");
}

// nullopt when the field is absent or null.
std::optional<element> field_of(const element& parent, std::string_view name) {
  element found;
  if (parent.at_key(name).get(found) != simdjson::SUCCESS || found.is_null()) return std::nullopt;
  return found;
}

std::string text_of(const element& parent, std::string_view name) {
  const auto found = field_of(parent, name);
  std::string_view text;
  if (!found || found->get(text) != simdjson::SUCCESS) return {};
  return std::string(text);
}

bool flag_of(const element& parent, std::string_view name, bool otherwise) {
  const auto found = field_of(parent, name);
  bool value = otherwise;
  if (!found || found->get(value) != simdjson::SUCCESS) return otherwise;
  return value;
}

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

// "<0x0A>", as bytes without a character of their own are written. nullopt for anything else.
std::optional<char> byte_of_fallback(std::string_view token) {
  int value = 0;
  if (token.size() != 6 || !token.starts_with("<0x") || token.back() != '>') return std::nullopt;
  const auto [end, error] = std::from_chars(token.data() + 3, token.data() + 5, value, 16);
  if (error != std::errc() || end != token.data() + 5) return std::nullopt;
  return static_cast<char>(value);
}

class SpecReader {
 public:
  explicit SpecReader(std::string_view what) : what_(what) {}

  Result<TokenizerSpec> read(const element& root) {
    if (const auto model = field_of(root, "model")) {
      spec_.over_characters = flag_of(*model, "byte_fallback", false);
      if (text_of(*model, "type") == "Unigram" && !spec_.over_characters) {
        return unsupported(what_, "model.byte_fallback", "false, in a Unigram model,");
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
  Status read_split_step(const element& step, const std::string& field, bool last);
  Status read_metaspace_split();
  Status read_split(const element& step, const std::string& field);
  Status read_byte_level(const element& step, const std::string& field, bool last);
  Status read_decoder(const element& root);
  Status read_post_processor(const element& root);
  Status read_post_processor_step(const element& step);
  Status read_template(const element& step);
  Status read_model(const element& root);
  Status read_vocabulary(const element& model);
  Status add_entry(std::string_view token, TokenId id);
  Status read_unigram(const element& model);
  Status check_characters();
  Status read_merges(const element& model);
  Status read_merge(std::string_view left, std::string_view right, std::size_t index);

  Error corrupt(std::string message) const {
    return fault(what_, ErrorKind::corrupt, std::move(message));
  }

  std::string_view what_;
  TokenizerSpec spec_;
  std::unordered_map<std::string_view, TokenId> ids_;  // as written in the file
  bool byte_level_ = false;
};

Status SpecReader::read_added_tokens(const element& root) {
  const auto list = field_of(root, "added_tokens");
  if (!list) return Unit{};
  simdjson::dom::array array;
  if (list->get(array) != simdjson::SUCCESS) return corrupt("added_tokens is not a list");
  std::set<std::string> seen;
  for (const element item : array) {
    AddedToken token;
    std::int64_t id = -1;
    if (item["id"].get(id) != simdjson::SUCCESS || id < 0 || id > INT32_MAX) {
      return corrupt("added_tokens: an entry has no id");
    }
    token.id = static_cast<TokenId>(id);
    token.content = text_of(item, "content");
    token.special = flag_of(item, "special", false);
    token.normalized = flag_of(item, "normalized", !token.special);
    token.single_word = flag_of(item, "single_word", false);
    token.lstrip = flag_of(item, "lstrip", false);
    token.rstrip = flag_of(item, "rstrip", false);
    if (token.content.empty()) return corrupt("added_tokens: an entry has no content");
    if (!seen.insert(token.content).second) {
      return corrupt("added_tokens: \"" + token.content + "\" stands twice");
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
  const auto normalizer = field_of(root, "normalizer");
  if (!normalizer) return Unit{};
  const std::string type = text_of(*normalizer, "type");
  if (type == "NFC") {
    spec_.nfc = true;
    return Unit{};
  }
  simdjson::dom::array parts;
  if (type == "Sequence" && (*normalizer)["normalizers"].get(parts) == simdjson::SUCCESS) {
    for (const element part : parts) {
      const std::string name = text_of(part, "type");
      if (name != "NFC") return unsupported(what_, "normalizer.normalizers.type", name);
      spec_.nfc = true;
    }
    return Unit{};
  }
  return unsupported(what_, "normalizer.type", type);
}

Status SpecReader::read_pre_tokenizer(const element& root) {
  const auto pre_tokenizer = field_of(root, "pre_tokenizer");
  if (!pre_tokenizer && spec_.over_characters) return Unit{};
  if (!pre_tokenizer) return unsupported(what_, "pre_tokenizer", "null");
  simdjson::dom::array steps;
  if (text_of(*pre_tokenizer, "type") != "Sequence") {
    return read_split_step(*pre_tokenizer, "pre_tokenizer", true);
  }
  if ((*pre_tokenizer)["pretokenizers"].get(steps) != simdjson::SUCCESS) {
    return corrupt("pre_tokenizer.pretokenizers is not a list");
  }
  std::size_t index = 0;
  for (const element step : steps) {
    const std::string field = "pre_tokenizer.pretokenizers[" + std::to_string(index) + "]";
    const bool last = ++index == steps.size();
    if (Status done = read_split_step(step, field, last); !done) return done;
  }
  if (!byte_level_ && !spec_.over_characters) {
    return unsupported(what_, "pre_tokenizer", "without ByteLevel");
  }
  return Unit{};
}

Status SpecReader::read_split_step(const element& step, const std::string& field, bool last) {
  const std::string type = text_of(step, "type");
  if (spec_.over_characters && type == "Metaspace") return read_metaspace_split();
  if (type == "ByteLevel" && !spec_.over_characters) return read_byte_level(step, field, last);
  if (last && !spec_.over_characters)
    return unsupported(what_, field + ".type", type + " (the last step is not ByteLevel)");
  if (type == "Split") return read_split(step, field);
  if (type == "Digits") {
    spec_.steps.push_back(SplitStep{.kind = SplitStep::Kind::digits,
                                    .pattern = {},
                                    .behavior = flag_of(step, "individual_digits", false)
                                                    ? SplitStep::Behavior::isolated
                                                    : SplitStep::Behavior::contiguous});
    return Unit{};
  }
  return unsupported(what_, field + ".type", type);
}

// Its marks are read by read_space_marks; here it is a cut before each mark.
Status SpecReader::read_metaspace_split() {
  if (!spec_.spaces.split) return Unit{};
  spec_.steps.push_back(SplitStep{.kind = SplitStep::Kind::regex,
                                  .pattern = std::string(kSpaceMark),
                                  .behavior = SplitStep::Behavior::merged_with_next});
  return Unit{};
}

Status SpecReader::read_split(const element& step, const std::string& field) {
  using Behavior = SplitStep::Behavior;
  static constexpr std::array kBehaviors = {
      std::pair{std::string_view("Isolated"), Behavior::isolated},
      std::pair{std::string_view("Removed"), Behavior::removed},
      std::pair{std::string_view("Contiguous"), Behavior::contiguous},
      std::pair{std::string_view("MergedWithPrevious"), Behavior::merged_with_previous},
      std::pair{std::string_view("MergedWithNext"), Behavior::merged_with_next}};
  SplitStep split{.kind = SplitStep::Kind::regex, .pattern = {}};
  const auto pattern = field_of(step, "pattern");
  if (!pattern) return corrupt(field + ".pattern is missing");
  split.pattern = text_of(*pattern, "Regex");
  if (split.pattern.empty()) split.pattern = escaped_for_regex(text_of(*pattern, "String"));
  if (split.pattern.empty()) return corrupt(field + ".pattern is empty");
  if (const auto construct = foreign_construct(split.pattern); !construct.empty()) {
    return unsupported(what_, field + ".pattern", "with " + std::string(construct));
  }
  const std::string behavior = text_of(step, "behavior");
  bool known = false;
  for (const auto& [name, value] : kBehaviors) {
    if (behavior != name) continue;
    split.behavior = value;
    known = true;
  }
  if (!known) return unsupported(what_, field + ".behavior", behavior);
  split.invert = flag_of(step, "invert", false);
  spec_.steps.push_back(std::move(split));
  return Unit{};
}

Status SpecReader::read_byte_level(const element& step, const std::string& field, bool last) {
  if (!last) return unsupported(what_, field + ".type", "ByteLevel before the last step");
  if (flag_of(step, "add_prefix_space", true)) {
    return unsupported(what_, field + ".add_prefix_space", "true");
  }
  if (flag_of(step, "use_regex", true)) {
    spec_.steps.push_back(
        SplitStep{.kind = SplitStep::Kind::regex, .pattern = std::string(kGpt2Pattern)});
  }
  byte_level_ = true;
  return Unit{};
}

Status SpecReader::read_decoder(const element& root) {
  if (spec_.over_characters) return Unit{};  // read with the marks that it undoes
  const auto decoder = field_of(root, "decoder");
  const std::string type = decoder ? text_of(*decoder, "type") : "null";
  if (type != "ByteLevel") return unsupported(what_, "decoder.type", type);
  return Unit{};
}

Status SpecReader::read_post_processor(const element& root) {
  const auto step = field_of(root, "post_processor");
  return step ? read_post_processor_step(*step) : Unit{};
}

Status SpecReader::read_post_processor_step(const element& step) {
  const std::string type = text_of(step, "type");
  if (type == "ByteLevel") return Unit{};  // offsets only
  if (type == "TemplateProcessing") return read_template(step);
  simdjson::dom::array parts;
  if (type != "Sequence" || step["processors"].get(parts) != simdjson::SUCCESS) {
    return unsupported(what_, "post_processor.type", type);
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
    return corrupt("post_processor has no \"single\"");
  }
  std::vector<TokenId>* side = &spec_.surround.before;
  for (const element part : parts) {
    if (field_of(part, "Sequence")) {
      side = &spec_.surround.after;
      continue;
    }
    std::string_view name;
    simdjson::dom::array ids;
    simdjson::dom::object tokens;
    if (part["SpecialToken"]["id"].get(name) != simdjson::SUCCESS ||
        step["special_tokens"].get(tokens) != simdjson::SUCCESS ||
        tokens.at_key(name)["ids"].get(ids) != simdjson::SUCCESS) {
      return corrupt("post_processor.single names a token that special_tokens does not explain");
    }
    for (const element value : ids) {
      std::int64_t id = -1;
      if (value.get(id) != simdjson::SUCCESS || id < 0 || id > INT32_MAX) {
        return corrupt("post_processor.special_tokens has an entry that is no token id");
      }
      side->push_back(static_cast<TokenId>(id));
    }
  }
  return Unit{};
}

Status SpecReader::read_model(const element& root) {
  const auto model = field_of(root, "model");
  if (!model) return corrupt("model is missing");
  // Files of before 2019 leave the type out; it is BPE when there are merges.
  const std::string type = text_of(*model, "type");
  if (type == "Unigram") return read_unigram(*model);
  if (type != "BPE" && !(type.empty() && field_of(*model, "merges"))) {
    return unsupported(what_, "model.type", type);
  }
  for (const std::string_view field : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    const std::string value = text_of(*model, field);
    if (!value.empty()) return unsupported(what_, "model." + std::string(field), value);
  }
  double dropout = 0;
  if (const auto field = field_of(*model, "dropout");
      field && field->get(dropout) == simdjson::SUCCESS && dropout > 0) {
    return unsupported(what_, "model.dropout", std::to_string(dropout));
  }
  spec_.ignore_merges = flag_of(*model, "ignore_merges", false);
  spec_.unknown_token = text_of(*model, "unk_token");
  spec_.fuse_unknown = flag_of(*model, "fuse_unk", false);
  if (Status done = read_vocabulary(*model); !done) return done;
  if (Status done = read_merges(*model); !done) return done;
  return spec_.over_characters ? check_characters() : Unit{};
}

Status SpecReader::read_vocabulary(const element& model) {
  object vocabulary;
  if (model["vocab"].get(vocabulary) != simdjson::SUCCESS) {
    return corrupt("model.vocab is not an object");
  }
  ids_.reserve(vocabulary.size());
  spec_.vocabulary.reserve(vocabulary.size());
  for (const auto& [token, value] : vocabulary) {
    std::int64_t id = -1;
    if (value.get(id) != simdjson::SUCCESS || id < 0 || id > INT32_MAX) {
      return corrupt("model.vocab: the id of \"" + std::string(token) + "\" is not a number");
    }
    if (Status done = add_entry(token, static_cast<TokenId>(id)); !done) return done;
  }
  return Unit{};
}

Status SpecReader::add_entry(std::string_view token, TokenId id) {
  if (!ids_.emplace(token, id).second) {
    return corrupt("model.vocab: \"" + std::string(token) + "\" stands twice");
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
Status SpecReader::read_unigram(const element& model) {
  simdjson::dom::array vocabulary;
  if (model["vocab"].get(vocabulary) != simdjson::SUCCESS) {
    return corrupt("model.vocab is not a list");
  }
  if (!field_of(model, "unk_id")) return unsupported(what_, "model.unk_id", "null");
  for (const element entry : vocabulary) {
    simdjson::dom::array pair;
    std::string_view token;
    double score = 0;
    const auto id = static_cast<TokenId>(spec_.scored_tokens.size());
    if (entry.get(pair) != simdjson::SUCCESS || pair.size() != 2 ||
        pair.at(0).get(token) != simdjson::SUCCESS || token.empty() ||
        pair.at(1).get(score) != simdjson::SUCCESS) {
      return corrupt("model.vocab[" + std::to_string(id) + "] is not a token and its score");
    }
    if (Status done = add_entry(token, id); !done) return done;
    spec_.scored_tokens.push_back({std::string(token), score});
  }
  return check_characters();
}

// Without all 256 bytes some text would become "unknown", of unknown length. And where no merge
// reaches over the beginning of a mark, the text may be cut there: pieces that repeat are known.
Status SpecReader::check_characters() {
  std::array<bool, 256> there{};
  std::unordered_map<TokenId, std::string_view> token_of;
  for (const TokenizerSpec::Entry& entry : spec_.vocabulary) {
    token_of[entry.id] = entry.token;
    if (!entry.of_bytes) there[static_cast<unsigned char>(entry.token.front())] = true;
  }
  if (std::find(there.begin(), there.end(), false) != there.end()) {
    return unsupported(what_, "model.byte_fallback", "true, without all 256 bytes,");
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

Status SpecReader::read_merges(const element& model) {
  simdjson::dom::array merges;
  if (model["merges"].get(merges) != simdjson::SUCCESS) {
    return corrupt("model.merges is not a list");
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

Status SpecReader::read_merge(std::string_view left, std::string_view right, std::size_t index) {
  if (left.empty() || right.empty()) {
    return corrupt("model.merges[" + std::to_string(index) + "] is not a pair of tokens");
  }
  const auto left_id = ids_.find(left);
  const auto right_id = ids_.find(right);
  const auto merged_id = ids_.find(std::string(left) + std::string(right));
  if (left_id == ids_.end() || right_id == ids_.end() || merged_id == ids_.end()) {
    return corrupt("model.merges[" + std::to_string(index) + "]: \"" + std::string(left) +
                   "\" and \"" + std::string(right) +
                   "\" or both together are not in the vocabulary");
  }
  spec_.merges.push_back({left_id->second, right_id->second, merged_id->second});
  return Unit{};
}

}  // namespace

std::optional<std::string> bytes_of_byte_level(std::string_view text) {
  const ByteAlphabet& alphabet = byte_alphabet();
  std::string bytes;
  bytes.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const CodePoint c = code_point_at(text, at);
    if (c.value >= alphabet.byte_of.size() || alphabet.byte_of[c.value] < 0) {
      return std::nullopt;
    }
    bytes += static_cast<char>(alphabet.byte_of[c.value]);
    at += c.size;
  }
  return bytes;
}

std::string byte_level_of_bytes(std::string_view bytes) {
  std::string text;
  for (const char byte : bytes) {
    const unsigned point = byte_alphabet().point_of[static_cast<unsigned char>(byte)];
    if (point < 0x80) {
      text += static_cast<char>(point);
    } else {
      text += static_cast<char>(0xc0 | point >> 6);
      text += static_cast<char>(0x80 | (point & 0x3f));
    }
  }
  return text;
}

Result<TokenizerSpec> parse_tokenizer_json(std::string_view json, std::string_view what) {
  if (json.size() > kLargestFile) return fault(what, ErrorKind::corrupt, "is larger than 64 MB");
  simdjson::dom::parser parser;
  element root;
  if (parser.allocate(json.size() + 1, kDeepestJson) != simdjson::SUCCESS) {
    return fault(what, ErrorKind::out_of_memory, "there is no memory to read it");
  }
  if (const auto error = parser.parse(json.data(), json.size(), true).get(root)) {
    return fault(what, ErrorKind::corrupt,
                 std::string("is not valid JSON: ") + simdjson::error_message(error));
  }
  if (!root.is_object()) return fault(what, ErrorKind::corrupt, "is not a JSON object");
  return SpecReader(what).read(root);
}

}  // namespace mayfly
