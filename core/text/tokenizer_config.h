// What stands beside tokenizer.json: which tokens have a meaning, and the chat template.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/result.h"

namespace mayfly {

struct TokenizerConfig {
  std::string bos_token, eos_token, pad_token, unk_token;  // "" : none
  std::vector<std::string> additional_special_tokens;
  std::optional<std::string> chat_template;  // Jinja source
  std::string chat_template_file;            // where it was found
};

// From tokenizer_config.json of `folder` (all fields optional, and so is the file) and
// chat_template.jinja, which wins over the template in it, as in transformers. Of a list of
// templates the one named "default" is taken. Errors: corrupt.
Result<TokenizerConfig> load_tokenizer_config(const std::filesystem::path& folder);

}  // namespace mayfly
