// How a tokenizer.json says that text is cut before its merges: the field pre_tokenizer.
#pragma once

#include <string_view>
#include <vector>

#include <simdjson.h>

#include "core/result.h"
#include "core/text/tokenizer_spec.h"

namespace mayfly {

// `root`: the whole file. `over_characters`: not over bytes; `cut_at_marks`: a Metaspace cuts
// before each mark (space_marks.h). Errors: corrupt, unsupported; `what` names the file.
Result<std::vector<SplitStep>> read_split_steps(const simdjson::dom::element& root,
                                                bool over_characters, bool cut_at_marks,
                                                std::string_view what);

}  // namespace mayfly
