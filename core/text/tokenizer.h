// A tokenizer.json, ready to use: text to token ids and back.
//
// Equal to HuggingFace tokenizers, id for id, for the kinds that tokenizer_spec.h names; checked
// against it by tests/oracle_text. No tokens are added around a text (add_special_tokens=False):
// chats get theirs from the template,
// plain texts from surround().
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "core/text/added_tokens.h"
#include "core/text/byte_pairs.h"
#include "core/text/pre_tokenizer.h"
#include "core/text/space_marks.h"
#include "core/text/tokenizer_spec.h"
#include "core/text/unicode.h"
#include "core/text/unigram.h"

namespace mayfly {

// Immutable; any number of threads.
class Tokenizer {
 public:
  // From a folder's tokenizer.json. Errors: not_found, corrupt, unsupported.
  static Result<Tokenizer> load(const std::filesystem::path& folder);
  // `what` names the text in errors.
  static Result<Tokenizer> parse(std::string_view json, std::string_view what);

  // For one text; for many, keep an Encoder.
  std::vector<TokenId> encode(std::string_view text) const;

  // Bytes that do not come out as UTF-8 (half a character) are replaced by U+FFFD. Ids without a
  // token are left out. `skip_special`: special tokens are left out too.
  std::string decode(std::span<const TokenId> ids, bool skip_special) const;

  // Of an added token as it stands ("<|im_end|>"), else of a token of the vocabulary by its bytes.
  std::optional<TokenId> id_of(std::string_view token) const;
  bool is_special(TokenId id) const {
    return special_.contains(id);
  }
  // The added tokens that are special.
  const std::vector<AddedToken>& special_tokens() const {
    return special_tokens_;
  }
  // What stands around a text that is no chat; encode() leaves it out.
  const TextSurround& surround() const {
    return surround_;
  }
  // One more than the largest id.
  TokenId size() const {
    return size_;
  }

 private:
  friend class Encoder;
  Tokenizer(const TokenizerSpec& spec, BytePairs pairs, PreTokenizer pre_tokenizer);
  std::string decode_characters(std::span<const TokenId> ids, bool skip_special) const;

  BytePairs pairs_;  // the vocabulary, and how BPE joins it
  std::optional<Unigram> unigram_;
  PreTokenizer pre_tokenizer_;
  AddedTokens added_;             // searched in the text as it is
  AddedTokens added_normalized_;  // searched in the normalized text
  bool nfc_;
  SpaceMarks spaces_;
  std::map<TokenId, std::string> contents_;  // of added tokens, as decoding writes them
  std::map<std::string, TokenId, std::less<>> added_ids_;
  std::set<TokenId> special_;
  std::vector<AddedToken> special_tokens_;
  TextSurround surround_;
  TokenId size_;
};

// Ids, and where in the text each one ends. Token i stands for the bytes from ends[i-1] (0 for the
// first) to ends[i] of the text that was given; with a normalizer, to the nearest place before
// which the text can be normalized by itself.
struct Encoding {
  std::vector<TokenId> ids;
  std::vector<std::uint32_t> ends;
};

// Encodes many texts with one tokenizer, which must outlive it; remembers words. One thread; 2 MB.
class Encoder {
 public:
  explicit Encoder(const Tokenizer& tokenizer);

  // Text that is not UTF-8 is first made so (U+FFFD), and places are those of that text.
  std::vector<TokenId> encode(std::string_view text);
  Encoding encode_with_ends(std::string_view text);

 private:
  // `shift`: where `text` begins in the text around it.
  void encode_valid(std::string_view text);
  void encode_between(std::string_view text, std::size_t shift);
  void encode_plain(std::string_view text, std::size_t shift);
  void encode_pieces(std::string_view text, std::size_t shift);
  std::span<const TokenId> ids_of(std::string_view piece);
  // nullopt: the text as it is.
  std::optional<Composed> normalized(std::string_view text, bool first) const;
  void push(TokenId id, std::size_t end);
  std::size_t original_end(std::size_t end);

  const Tokenizer& tokenizer_;
  Splitter splitter_;
  PieceEncoder pieces_;
  std::vector<Unigram::Way> ways_;
  std::vector<TokenId> unigram_ids_;
  bool wants_ends_ = false;
  Encoding out_;
  std::vector<Composed::Place> places_;  // of the stretch at hand when it was changed by NFC
  std::size_t next_place_ = 0;
  std::size_t segment_begin_ = 0;  // where the stretch between added tokens begins in the text
};

}  // namespace mayfly
