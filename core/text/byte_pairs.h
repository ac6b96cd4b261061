// Byte-pair encoding: a piece of text, byte by byte or character by character, with the pairs that
// come first in the list of merges joined first (Sennrich et al. 2016, arXiv:1508.07909; over bytes
// as in GPT-2, over characters as in SentencePiece).
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "core/text/tokenizer_spec.h"

namespace mayfly {

// Vocabulary and merges. Immutable; any number of threads. About 60 bytes a token and 32 a merge.
class BytePairs {
 public:
  struct Merge {
    std::int32_t rank = -1;  // -1: these two are never joined
    TokenId merged = -1;
  };

  // Error: corrupt, when an id stands twice or a merge leads nowhere.
  static Result<BytePairs> build(const TokenizerSpec& spec);

  // -1 when there is none.
  TokenId id_of(std::string_view token) const;
  // Empty when the id is not in the vocabulary.
  std::string_view bytes_of(TokenId id) const;
  // One more than the largest id.
  TokenId size() const {
    return static_cast<TokenId>(begins_.size()) - 1;
  }
  TokenId id_of_byte(unsigned char byte) const {
    return of_byte_[byte];
  }
  // Pieces begin as characters, and as bytes only where there is no token of the character.
  bool over_characters() const {
    return over_characters_;
  }
  // Whether the token stands for a byte that is no character by itself.
  bool is_fallback(TokenId id) const;
  Merge merge_of(TokenId left, TokenId right) const;
  TokenId unknown() const {
    return unknown_;
  }
  bool fuse_unknown() const {
    return fuse_unknown_;
  }
  bool ignore_merges() const {
    return ignore_merges_;
  }

 private:
  struct Pair {
    std::uint64_t key = ~std::uint64_t{0};
    Merge merge;
  };
  BytePairs() = default;
  void add_token(std::size_t slot_count, TokenId id);

  std::string bytes_;                  // of all tokens, by id
  std::vector<std::uint32_t> begins_;  // where each token's bytes begin; one more at the end
  std::vector<TokenId> slots_;         // hash table over the tokens' bytes
  std::vector<Pair> pairs_;            // hash table over pairs of ids
  TokenId of_byte_[256] = {};
  TokenId unknown_ = -1;
  bool fuse_unknown_ = false;
  bool ignore_merges_ = false;
  bool over_characters_ = false;
};

// Joins the bytes of pieces to tokens. Remembers short pieces: text repeats its words, and most
// answers come from there. One thread; 2 MB; `pairs` must outlive it.
class PieceEncoder {
 public:
  explicit PieceEncoder(const BytePairs& pairs);

  // The answer lives until the next call.
  std::span<const TokenId> encode(std::string_view piece);

 private:
  // One cache line each, found by hash, the newest wins.
  static constexpr std::size_t kLongestKey = 30;
  static constexpr std::size_t kMostIds = 8;
  struct alignas(64) Remembered {
    char key[kLongestKey];
    std::uint8_t key_size = 0;
    std::uint8_t count = 0;
    TokenId ids[kMostIds];
  };
  struct Symbol {
    TokenId id;
    std::int32_t previous, next;  // -1: none
  };
  struct Candidate {
    std::int32_t rank;
    std::int32_t left;  // index of the symbol
    TokenId left_id, right_id, merged;
  };

  void merge(std::string_view piece);
  void start_with_bytes(std::string_view piece);
  void start_with_characters(std::string_view piece);
  void merge_short();
  void merge_long();
  void consider(std::int32_t left);

  const BytePairs& pairs_;
  std::vector<Remembered> remembered_;
  std::vector<TokenId> ids_;
  std::vector<std::int32_t> ranks_;
  std::vector<Symbol> symbols_;
  std::vector<Candidate> heap_;
};

}  // namespace mayfly
