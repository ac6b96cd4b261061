// What a tokenizer.json says of its tokens: the field model, with its vocabulary and merges.
#pragma once

#include <string_view>

#include <simdjson.h>

#include "core/result.h"
#include "core/text/tokenizer_spec.h"

namespace mayfly {

// Fills in vocabulary, merges or scored_tokens and what goes with them; adds to steps the cut that
// holds for tokenizers over characters whose merges never reach over a space. `root`: the whole
// file; spec.over_characters and spec.steps are read before. Errors: corrupt, unsupported; `what`
// names the file.
Status read_tokenizer_model(const simdjson::dom::element& root, std::string_view what,
                            TokenizerSpec& spec);

}  // namespace mayfly
