// What stands in a model's folder for its tokenizer: tokenizer*, special_tokens_map.json,
// chat_template.jinja.
#pragma once

#include <filesystem>

#include "core/result.h"

namespace mayfly {

// Copies those that there are. Errors: not_found (no folder `from`), those of write_file.
Status copy_tokenizer(const std::filesystem::path& from, const std::filesystem::path& to);
// Copies only chat_template.jinja, over one that is there: an adapter's own. Not there, or no
// folder: nothing.
Status copy_chat_template(const std::filesystem::path& from, const std::filesystem::path& to);

}  // namespace mayfly
