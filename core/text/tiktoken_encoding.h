// A tiktoken Encoding: tokens by rank, and how text is cut before; read from its pickle, and
// written as the tokenizer.json that gives the same ids.
//
// tiktoken joins the two neighbours that together are the token of the lowest rank, whatever they
// are; tokenizer.json lists the pairs. So every way to take a token apart into two is a merge, in
// the order of ranks, as transformers writes it.
//
// Source: openai/tiktoken 0.14, tiktoken/core.py (Encoding.__getstate__); transformers 5.23,
// convert_slow_tokenizer.py (TikTokenConverter).
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "core/text/tokenizer_spec.h"

namespace mayfly {

struct TiktokenEncoding {
  std::string pattern;                     // what cuts text into pieces
  std::vector<std::string> tokens;         // bytes, by rank, which is the id
  std::map<std::string, TokenId> special;  // found in the text by name; ids from tokens.size() on

  // One more than the largest id.
  TokenId size() const;
};

// `bytes` is what pickle.dump(Encoding) wrote, `what` names the file in errors; no class is loaded
// and nothing is run (core/pickle.h). Errors: corrupt (ranks with gaps, a byte without a token, an
// id twice), unsupported (a pickle of something else, an Encoding of tiktoken's own, which is
// pickled as its name).
Result<TiktokenEncoding> read_tiktoken_pickle(std::string_view bytes, std::string_view what);

// The text of tokenizer.json. `first` is the special token that begins a text that is no chat.
std::string tokenizer_json_of(const TiktokenEncoding& encoding, const std::string& first);

}  // namespace mayfly
