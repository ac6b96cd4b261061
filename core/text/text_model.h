// All that turns text to tokens for one model: what is in its folder.
#pragma once

#include <filesystem>
#include <optional>
#include <utility>

#include "core/clock.h"
#include "core/result.h"
#include "core/text/template.h"
#include "core/text/tokenizer.h"
#include "core/text/tokenizer_config.h"

namespace mayfly {

class TextModel {
 public:
  // `today`: see ChatTemplate. Errors: not_found, corrupt, unsupported.
  static Result<TextModel> load(const std::filesystem::path& folder, WallTime today);

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
  TextModel(Tokenizer tokenizer, TokenizerConfig config, Result<ChatTemplate> chat_template)
      : tokenizer_(std::move(tokenizer)),
        config_(std::move(config)),
        template_(std::move(chat_template)) {}
  Tokenizer tokenizer_;
  TokenizerConfig config_;
  Result<ChatTemplate> template_;
};

}  // namespace mayfly
