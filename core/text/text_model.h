// All that turns text to tokens for one model: what is in its folder.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <utility>

#include "core/clock.h"
#include "core/config/data_config.h"
#include "core/result.h"
#include "core/text/template.h"
#include "core/text/tokenizer.h"
#include "core/text/tokenizer_config.h"

namespace mayfly {

class TextModel {
 public:
  // `today`: see ChatTemplate. Errors: not_found, corrupt, unsupported.
  static Result<TextModel> load(const std::filesystem::path& folder, WallTime today);

  // From now on the template that data.chat_template names, if it is not the model's own. Errors:
  // not_found, refused (the file), unsupported (it cannot be understood, or writes tokens that the
  // tokenizer does not have).
  Status choose_template(const DataConfig& config, WallTime today);
  // From now on the template of an adapter that was trained with one of its own:
  // chat_template.jinja of `folder`, if it is there ("": no folder).
  Status take_template_of(const std::filesystem::path& folder, WallTime today);

  const Tokenizer& tokenizer() const {
    return tokenizer_;
  }
  const TokenizerConfig& config() const {
    return config_;
  }
  // Base models have none, and need none for texts without turns: then the error says so.
  const Result<ChatTemplate>& chat_template() const {
    return template_;
  }
  // The id that ends a turn, for generating, and a text; nullopt when the configuration names none.
  std::optional<TokenId> eos_id() const {
    return tokenizer_.id_of(config_.eos_token);
  }
  // The id to pad with: the configured one, else the end-of-sequence token, else 0.
  TokenId pad_id() const;

 private:
  Status use_template(std::string source, const std::string& file, WallTime today);

  TextModel(Tokenizer tokenizer, TokenizerConfig config, Result<ChatTemplate> chat_template)
      : tokenizer_(std::move(tokenizer)),
        config_(std::move(config)),
        template_(std::move(chat_template)) {}
  Tokenizer tokenizer_;
  TokenizerConfig config_;
  Result<ChatTemplate> template_;
};

}  // namespace mayfly
