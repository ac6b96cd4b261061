#include "core/text/tiktoken_encoding.h"

#include <algorithm>
#include <array>
#include <set>
#include <tuple>
#include <unordered_map>
#include <utility>

#include <nlohmann/json.hpp>

#include "core/pickle.h"
#include "core/text/byte_alphabet.h"
#include "core/text/unicode.h"

namespace mayfly {

namespace {

using PickleKind = PickleValue::Kind;

constexpr std::array<std::string_view, 1> kNames = {"tiktoken.core Encoding"};
constexpr std::size_t kMostTokens = 1 << 20;
constexpr std::size_t kMostSpecial = 4096;
constexpr std::size_t kLongestToken = 1024;

class EncodingReader {
 public:
  EncodingReader(const Pickle& pickle, std::string_view what) : pickle_(pickle), what_(what) {}

  Result<TiktokenEncoding> read() {
    const PickleValue& root = pickle_.root();
    if (root.kind != PickleKind::object || root.items.size() != 2) {
      return unsupported("it is no tiktoken Encoding with its tables");
    }
    const PickleValue& state = pickle_[root.items[1]];
    if (state.kind == PickleKind::text) {
      return unsupported("it is tiktoken's own encoding, by its name, without its tables");
    }
    const PickleValue* const pattern = pickle_.find(state, "pat_str");
    if (pattern == nullptr || pattern->kind != PickleKind::text || !is_valid_utf8(pattern->text)) {
      return corrupt("there is no pat_str");
    }
    encoding_.pattern = pattern->text;
    if (Status done = read_ranks(pickle_.find(state, "mergeable_ranks")); !done) {
      return done.error();
    }
    if (Status done = read_special(pickle_.find(state, "special_tokens")); !done) {
      return done.error();
    }
    return std::move(encoding_);
  }

 private:
  Error corrupt(const std::string& why) const {
    return {ErrorKind::corrupt, what_ + ": " + why};
  }
  Error unsupported(const std::string& why) const {
    return {ErrorKind::unsupported, what_ + ": " + why,
            "give the folder with the tokenizer.pkl that nanochat wrote"};
  }

  Status read_ranks(const PickleValue* ranks) {
    if (ranks == nullptr || ranks->kind != PickleKind::dict)
      return corrupt("there are no mergeable_ranks");
    const std::size_t count = ranks->items.size() / 2;
    if (count > kMostTokens) return corrupt("there are more than a million tokens");
    encoding_.tokens.resize(count);
    for (std::size_t i = 0; i + 1 < ranks->items.size(); i += 2) {
      const PickleValue& token = pickle_[ranks->items[i]];
      const PickleValue& rank = pickle_[ranks->items[i + 1]];
      if (token.kind != PickleKind::bytes || token.text.empty() ||
          token.text.size() > kLongestToken || rank.kind != PickleKind::number) {
        return corrupt("a token of mergeable_ranks is not 1 to 1024 bytes with a number");
      }
      if (rank.number < 0 || rank.number >= static_cast<std::int64_t>(count) ||
          !encoding_.tokens[static_cast<std::size_t>(rank.number)].empty()) {
        return corrupt("the ranks of the tokens are not 0, 1, 2 and so on, once each");
      }
      encoding_.tokens[static_cast<std::size_t>(rank.number)] = token.text;
    }
    return check_tokens();
  }

  Status check_tokens() const {
    std::set<std::string_view> seen;
    for (const std::string& token : encoding_.tokens) {
      if (!seen.insert(token).second) return corrupt("a token has two ranks");
    }
    for (int byte = 0; byte < 256; ++byte) {
      if (!seen.contains(std::string(1, static_cast<char>(byte)))) {
        return corrupt("there is no token of the byte " + std::to_string(byte));
      }
    }
    return Unit{};
  }

  Status read_special(const PickleValue* special) {
    if (special == nullptr || special->kind != PickleKind::dict ||
        special->items.size() / 2 > kMostSpecial) {
      return corrupt("there are no special_tokens, or too many");
    }
    const auto first = static_cast<std::int64_t>(encoding_.tokens.size());
    std::set<std::int64_t> ids;
    for (std::size_t i = 0; i + 1 < special->items.size(); i += 2) {
      const PickleValue& name = pickle_[special->items[i]];
      const PickleValue& id = pickle_[special->items[i + 1]];
      if (name.kind != PickleKind::text || name.text.empty() || !is_valid_utf8(name.text) ||
          id.kind != PickleKind::number || id.number < first ||
          id.number >= first + static_cast<std::int64_t>(kMostSpecial) ||
          !ids.insert(id.number).second) {
        return corrupt("a special token has no name, or no id of its own behind the others");
      }
      if (!encoding_.special.emplace(name.text, static_cast<TokenId>(id.number)).second) {
        return corrupt("a special token stands twice");
      }
    }
    return Unit{};
  }

  const Pickle& pickle_;
  std::string what_;
  TiktokenEncoding encoding_;
};

nlohmann::json merges_of(const TiktokenEncoding& encoding) {
  std::unordered_map<std::string_view, TokenId> ranks;
  for (const std::string& token : encoding.tokens) {
    ranks.emplace(token, static_cast<TokenId>(ranks.size()));
  }
  nlohmann::json merges = nlohmann::json::array();
  for (const std::string_view token : encoding.tokens) {
    std::vector<std::pair<TokenId, TokenId>> ways;
    for (std::size_t cut = 1; cut < token.size(); ++cut) {
      const auto left = ranks.find(token.substr(0, cut));
      const auto right = ranks.find(token.substr(cut));
      if (left != ranks.end() && right != ranks.end()) {
        ways.emplace_back(left->second, right->second);
      }
    }
    std::sort(ways.begin(), ways.end());
    for (const auto& [left, right] : ways) {
      merges.push_back({byte_level_of_bytes(encoding.tokens[static_cast<std::size_t>(left)]),
                        byte_level_of_bytes(encoding.tokens[static_cast<std::size_t>(right)])});
    }
  }
  return merges;
}

nlohmann::json vocabulary_of(const TiktokenEncoding& encoding) {
  nlohmann::json vocabulary = nlohmann::json::object();
  for (std::size_t id = 0; id < encoding.tokens.size(); ++id) {
    vocabulary[byte_level_of_bytes(encoding.tokens[id])] = id;
  }
  return vocabulary;
}

nlohmann::json added_tokens_of(const TiktokenEncoding& encoding) {
  nlohmann::json added = nlohmann::json::array();
  std::map<TokenId, std::string> by_id;
  for (const auto& [name, id] : encoding.special) by_id.emplace(id, name);
  for (const auto& [id, name] : by_id) {
    added.push_back({{"id", id},
                     {"content", name},
                     {"single_word", false},
                     {"lstrip", false},
                     {"rstrip", false},
                     {"normalized", false},
                     {"special", true}});
  }
  return added;
}

nlohmann::json post_processor_of(const std::string& first, TokenId id) {
  const nlohmann::json begin = {{"SpecialToken", {{"id", first}, {"type_id", 0}}}};
  const nlohmann::json text = {{"Sequence", {{"id", "A"}, {"type_id", 0}}}};
  const nlohmann::json second = {{"Sequence", {{"id", "B"}, {"type_id", 0}}}};
  return {{"type", "TemplateProcessing"},
          {"single", {begin, text}},
          {"pair", {begin, text, begin, second}},
          {"special_tokens",
           {{first, {{"id", first}, {"ids", {id}}, {"tokens", nlohmann::json::array({first})}}}}}};
}

}  // namespace

TokenId TiktokenEncoding::size() const {
  auto last = static_cast<TokenId>(tokens.size()) - 1;
  for (const auto& [name, id] : special) last = std::max(last, id);
  return last + 1;
}

Result<TiktokenEncoding> read_tiktoken_pickle(std::string_view bytes, std::string_view what) {
  const Result<Pickle> pickle = Pickle::parse(bytes, what, kNames);
  if (!pickle) return pickle.error();
  return EncodingReader(*pickle, what).read();
}

std::string tokenizer_json_of(const TiktokenEncoding& encoding, const std::string& first) {
  const nlohmann::json byte_level = {{"type", "ByteLevel"},
                                     {"add_prefix_space", false},
                                     {"trim_offsets", true},
                                     {"use_regex", false}};
  const nlohmann::json split = {{"type", "Split"},
                                {"pattern", {{"Regex", encoding.pattern}}},
                                {"behavior", "Isolated"},
                                {"invert", false}};
  const nlohmann::json root = {
      {"version", "1.0"},
      {"truncation", nullptr},
      {"padding", nullptr},
      {"added_tokens", added_tokens_of(encoding)},
      {"normalizer", nullptr},
      {"pre_tokenizer",
       {{"type", "Sequence"}, {"pretokenizers", nlohmann::json::array({split, byte_level})}}},
      {"post_processor", post_processor_of(first, encoding.special.at(first))},
      {"decoder", byte_level},
      {"model",
       {{"type", "BPE"},
        {"dropout", nullptr},
        {"unk_token", nullptr},
        {"continuing_subword_prefix", nullptr},
        {"end_of_word_suffix", nullptr},
        {"fuse_unk", false},
        {"byte_fallback", false},
        // A piece that is a token is that token, whichever merges would lead there.
        {"ignore_merges", true},
        {"vocab", vocabulary_of(encoding)},
        {"merges", merges_of(encoding)}}}};
  return root.dump();
}

}  // namespace mayfly
