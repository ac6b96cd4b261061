// What a tokenizer.json says, as plain data, with everything refused that we cannot do exactly as
// the reference implementation (HuggingFace tokenizers 0.23) does it.
//
// Understood: models BPE and Unigram. BPE in two kinds. Over bytes ("byte-level": GPT-2, Llama 3,
// Qwen, SmolLM): normalizers none and NFC; pre-tokenizers Sequence, Split, Digits, ByteLevel;
// decoder ByteLevel. Over characters with bytes to fall back on (SentencePiece's: Llama 2, Mistral,
// Gemma, Phi-3), as which Unigram is read too: normalizers Prepend and Replace, pre-tokenizers
// none, Metaspace, Split and Digits; a decoder that undoes them. Everything else is `unsupported`,
// naming the field and the value. Not used, as transformers does not use them for a chat either:
// truncation and padding.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"

namespace mayfly {

using TokenId = std::int32_t;

// A token that is found in the text before anything else is done to it.
struct AddedToken {
  TokenId id = 0;
  std::string content;
  bool special = false;      // decoding can leave it out
  bool normalized = false;   // searched in the normalized text, after the others
  bool single_word = false;  // only between characters that belong to no word
  bool lstrip = false;       // takes the white space before it
  bool rstrip = false;       // takes the white space after it
};

// How text is cut before the merges; the steps are applied one after the other to every piece.
struct SplitStep {
  enum class Kind { regex, digits };
  enum class Behavior { isolated, removed, contiguous, merged_with_previous, merged_with_next };
  Kind kind;
  std::string pattern;                     // of regex: PCRE2 syntax
  Behavior behavior = Behavior::isolated;  // what becomes of the matches
  bool invert = false;                     // the matches are the pieces, the rest separates them
};

// The tokens that the post-processor puts around a text that is no chat.
struct TextSurround {
  std::vector<TokenId> before;
  std::vector<TokenId> after;
};

// How a tokenizer over characters writes spaces: as the character U+2581, and maybe one before the
// text.
struct SpaceMarks {
  enum class Prepend { never, first, always };
  bool replace = false;  // every space by the mark
  Prepend prepend =
      Prepend::never;          // before the text's first stretch, or each between added tokens
  bool late = false;           // done by the pre-tokenizer, after added tokens were searched for
  bool split = false;          // each mark begins a piece
  bool strip_decoded = false;  // decoding takes the first space away
};
inline constexpr std::string_view kSpaceMark = "\xe2\x96\x81";

struct TokenizerSpec {
  struct Entry {
    std::string token;  // real bytes, the byte-level alphabet undone; over characters as written
    TokenId id;
    bool of_bytes;  // false: written outside of the alphabet, so no text can become it
  };
  struct Merge {
    TokenId left, right, merged;
  };
  struct ScoredToken {
    std::string text;  // as written in the file
    double score;
  };
  std::vector<AddedToken> added_tokens;
  bool nfc = false;
  bool over_characters = false;  // else over bytes
  SpaceMarks spaces;             // over characters only
  std::vector<SplitStep> steps;
  std::vector<Entry> vocabulary;
  std::vector<Merge> merges;               // the first is merged first
  std::vector<ScoredToken> scored_tokens;  // of Unigram, by id; empty: BPE
  bool ignore_merges = false;  // a piece that is in the vocabulary is one token, merges or not
  TextSurround surround;
  std::string unknown_token;  // "" : bytes without a token are left out
  bool fuse_unknown = false;
};

// `json` is the file's text, `what` names it in errors. At most 64 MB and 64 levels deep. About
// 5 ms a MB. Errors: corrupt, unsupported.
Result<TokenizerSpec> parse_tokenizer_json(std::string_view json, std::string_view what);

}  // namespace mayfly
