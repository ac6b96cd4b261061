#include "core/text/text_model.h"

namespace mayfly {

Result<TextModel> TextModel::load(const std::filesystem::path& folder, WallTime today) {
  auto tokenizer = Tokenizer::load(folder);
  if (!tokenizer) return std::move(tokenizer.error());
  auto config = load_tokenizer_config(folder);
  if (!config) return std::move(config.error());
  auto chat_template = ChatTemplate::compile(*config, today);
  return TextModel(std::move(*tokenizer), std::move(*config), std::move(chat_template));
}

TokenId TextModel::pad_id() const {
  if (const auto id = tokenizer_.id_of(config_.pad_token)) return *id;
  return eos_id().value_or(0);
}

}  // namespace mayfly
