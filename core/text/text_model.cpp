#include "core/text/text_model.h"

#include "core/atomic_file.h"
#include "core/config/data_files.h"
#include "core/text/named_template.h"

namespace mayfly {

Result<TextModel> TextModel::load(const std::filesystem::path& folder, WallTime today) {
  auto tokenizer = Tokenizer::load(folder);
  if (!tokenizer) return std::move(tokenizer.error());
  auto config = load_tokenizer_config(folder);
  if (!config) return std::move(config.error());
  auto chat_template = ChatTemplate::compile(*config, today);
  return TextModel(std::move(*tokenizer), std::move(*config), std::move(chat_template));
}

Status TextModel::choose_template(const DataConfig& config, WallTime today) {
  const std::string& name = config.chat_template;
  if (is_template_file(config)) {
    Result<std::string> source = read_file(name);
    if (source) return use_template(std::move(*source), name, today);
    source.error().hint = "data.chat_template is tokenizer, chatml or a file";
    return while_doing("data.chat_template", std::move(source.error()));
  }
  const auto named = named_template(name);
  if (!named) return Unit{};
  for (const std::string_view token : named->tokens) {
    if (tokenizer_.id_of(std::string(token))) continue;
    return Error{ErrorKind::unsupported,
                 "data.chat_template: " + name + " writes " + std::string(token) +
                     ", which the tokenizer does not have",
                 "take a template of the tokenizer's own tokens"};
  }
  return use_template(std::string(named->source), name, today);
}

Status TextModel::take_template_of(const std::filesystem::path& folder, WallTime today) {
  const std::filesystem::path file = folder / "chat_template.jinja";
  std::error_code code;
  if (folder.empty() || !std::filesystem::is_regular_file(file, code)) return Unit{};
  Result<std::string> source = read_file(file);
  if (!source) return std::move(source.error());
  return use_template(std::move(*source), file.string(), today);
}

Status TextModel::use_template(std::string source, const std::string& file, WallTime today) {
  config_.chat_template = std::move(source);
  config_.chat_template_file = file;
  template_ = ChatTemplate::compile(config_, today);
  if (!template_) return template_.error();
  return Unit{};
}

TokenId TextModel::pad_id() const {
  if (const auto id = tokenizer_.id_of(config_.pad_token)) return *id;
  return eos_id().value_or(0);
}

}  // namespace mayfly
