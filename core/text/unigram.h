// A unigram model: of all ways to cut a text into tokens the one with the largest sum of scores
// (Kudo 2018, arXiv:1804.10959), found from left to right (Viterbi). Characters without a token
// become their bytes.
//
// As HuggingFace tokenizers 0.23, models/unigram/model.rs, encode_optimized: a character without a
// token scores 10 less than the worst token; of two ways with the same sum, the first found stays.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "core/text/tokenizer_spec.h"

namespace mayfly {

// Immutable; any number of threads. About 60 bytes a token and 16 a byte of all tokens.
class Unigram {
 public:
  // REQUIRES that spec.scored_tokens is not empty, and a token for each byte.
  explicit Unigram(const TokenizerSpec& spec);

  // The best way to some place in the text; room that encode() wants again each time.
  struct Way {
    std::int64_t begin = -1;  // of the last token; -1: there is no way yet
    TokenId id = -1;          // of the last token; -1: a character without one
    double score = 0;
  };
  // `text` is valid UTF-8. Time: its size, times the length of the longest token at worst. Replaces
  // what is in `ids`.
  void encode(std::string_view text, std::vector<Way>& ways, std::vector<TokenId>& ids) const;

 private:
  // From a node by a byte to the next; all in one hash table. 0 is the root.
  struct Edge {
    std::uint64_t key = ~std::uint64_t{0};
    std::int32_t node = -1;
  };
  void add(std::string_view token, TokenId id);
  Edge& edge(std::int32_t node, char byte);
  const Edge& edge(std::int32_t node, char byte) const;

  std::vector<Edge> edges_;
  std::vector<TokenId> token_of_node_;  // -1: no token ends there
  std::vector<double> scores_;          // by id
  double unknown_score_ = 0;
  TokenId of_byte_[256] = {};
};

}  // namespace mayfly
