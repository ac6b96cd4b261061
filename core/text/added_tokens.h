// The tokens that are found in a text as they stand, before it is cut into pieces: special tokens
// and others that were added to a vocabulary. Leftmost first, then the longest, as in tokenizers
// (tokenizer/added_vocabulary.rs).
#pragma once

#include <array>
#include <optional>
#include <string_view>
#include <vector>

#include "core/text/tokenizer_spec.h"

namespace mayfly {

// A set of tokens to search for. Immutable; any number of threads.
class AddedTokens {
 public:
  // What stands in the text: [begin, end) is token `id`.
  struct Found {
    TokenId id;
    std::size_t begin;
    std::size_t end;
  };

  explicit AddedTokens(std::vector<AddedToken> tokens);

  // The first token at or after `from`. Requires valid UTF-8; `from` is where the last one ended.
  std::optional<Found> find(std::string_view text, std::size_t from) const;

  bool empty() const {
    return tokens_.empty();
  }

 private:
  const AddedToken* longest_at(std::string_view text, std::size_t at) const;

  std::vector<AddedToken> tokens_;  // by first byte, then the longest first
  struct Range {
    std::uint32_t begin = 0, end = 0;
  };
  std::array<Range, 256> by_first_byte_ = {};
  char only_first_byte_ = 0;  // when all begin alike (most begin with '<'), else 0
};

}  // namespace mayfly
