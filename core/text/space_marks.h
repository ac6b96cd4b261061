// Tokenizers over characters (SentencePiece's) write a space as U+2581, so that words know where
// they began: which of the several ways of a tokenizer.json does it, and the doing.
//
// As HuggingFace tokenizers 0.23: normalizers/{prepend,replace}.rs, pre_tokenizers/metaspace.rs.
#pragma once

#include <string>
#include <string_view>

#include <simdjson.h>

#include "core/result.h"
#include "core/text/tokenizer_spec.h"
#include "core/text/unicode.h"

namespace mayfly {

// Normalizer, pre-tokenizer and decoder of `root`, the whole file. Steps of a pre-tokenizer that
// are no Metaspace are for the caller. Errors: corrupt, unsupported; `what` names the file.
Result<SpaceMarks> read_space_marks(const simdjson::dom::element& root, std::string_view what);

// The text with its marks, and where each stretch came from. `first`: it begins the whole text.
Composed with_space_marks(std::string_view text, const SpaceMarks& marks, bool first);

// Marks as spaces again.
std::string without_space_marks(std::string_view token);

}  // namespace mayfly
