// nanochat's tokenizer as the files of a model folder: tokenizer.json and tokenizer_config.json,
// the latter with the chat template that writes a conversation as nanochat trains on it.
//
// Source: karpathy/nanochat, nanochat/tokenizer.py (SPECIAL_TOKENS, render_conversation). Not taken
// over: parts of a message that call Python, with their outputs; messages are texts here. And a
// text that spells a special token becomes that token, as in every tokenizer.json, where nanochat
// takes it for letters.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/result.h"
#include "core/text/tiktoken_encoding.h"

namespace mayfly {

struct NanochatTokenizer {
  std::string tokenizer_json;
  std::string tokenizer_config_json;
  TokenId bos = 0;
  TokenId assistant_end = 0;
  TokenId size = 0;  // one more than the largest id
};

// `max_positions` is the longest text the model was made for. `what` names the pickle in errors.
// Errors: unsupported, where one of nanochat's special tokens is missing; those of
// parse_tokenizer_json for a pattern that we do not cut by.
Result<NanochatTokenizer> nanochat_tokenizer(const TiktokenEncoding& encoding,
                                             std::int64_t max_positions, std::string_view what);

}  // namespace mayfly
