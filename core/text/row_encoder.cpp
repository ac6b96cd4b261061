#include "core/text/row_encoder.h"

#include <algorithm>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace mayfly {

namespace {

// A system prompt that was put before the messages is part of the prompt, where there is one.
std::size_t prompt_size(const Conversation& row, const std::vector<Message>& messages) {
  return row.prompt_size == 0 ? 0 : row.prompt_size + messages.size() - row.messages.size();
}

}  // namespace

RowEncoder::RowEncoder(const TextModel& model, const DataConfig& config)
    : model_(model), config_(config), texts_(model.tokenizer()) {}

Result<Example> RowEncoder::encode(const Record& record) {
  if (const auto* chat = std::get_if<Conversation>(&record.content)) {
    return encode_conversation(*chat);
  }
  if (const auto* prompted = std::get_if<PromptedText>(&record.content)) {
    return encode_prompted(*prompted);
  }
  if (const auto* plain = std::get_if<PlainText>(&record.content)) {
    return encode_plain(*plain);
  }
  return encode_tokens(std::get<TokenRow>(record.content));
}

Result<std::string> RowEncoder::text_of(const Record& record) {
  if (const auto* prompted = std::get_if<PromptedText>(&record.content)) {
    return prompted->prompt + prompted->completion;
  }
  if (const auto* plain = std::get_if<PlainText>(&record.content)) return plain->text;
  if (const auto* tokens = std::get_if<TokenRow>(&record.content)) {
    return model_.tokenizer().decode(tokens->ids, false);
  }
  if (const Status ready = prepare_chats(); !ready) return ready.error();
  const auto& chat = std::get<Conversation>(record.content);
  const std::vector<Message> messages = with_system_prompt(chat);
  auto rendered = chats_->render(messages, prompt_size(chat, messages));
  if (!rendered) return std::move(rendered.error());
  return std::move(rendered->text);
}

const std::vector<std::string>& RowEncoder::turn_ends() const {
  static const std::vector<std::string> none;
  return chats_ ? chats_->marks().ends : none;
}

Status RowEncoder::prepare_chats() {
  if (chats_) return Unit{};
  if (!model_.chat_template()) return model_.chat_template().error();
  auto made = ChatEncoder::create(model_.tokenizer(), *model_.chat_template(), config_.train_on);
  if (!made) return std::move(made.error());
  chats_.emplace(std::move(*made));
  return Unit{};
}

std::vector<Message> RowEncoder::with_system_prompt(const Conversation& conversation) const {
  const auto is_system = [](const Message& message) {
    return message.role == "system" || message.role == "developer";
  };
  const std::vector<Message>& given = conversation.messages;
  std::vector<Message> messages;
  if (config_.system_prompt && std::none_of(given.begin(), given.end(), is_system)) {
    messages.push_back({"system", *config_.system_prompt});
  }
  messages.insert(messages.end(), given.begin(), given.end());
  return messages;
}

Result<Example> RowEncoder::encode_conversation(const Conversation& conversation) {
  if (const Status ready = prepare_chats(); !ready) return ready.error();
  if (!config_.system_prompt) {
    return chats_->encode(conversation.messages, conversation.prompt_size);
  }
  const std::vector<Message> messages = with_system_prompt(conversation);
  return chats_->encode(messages, prompt_size(conversation, messages));
}

Result<Example> RowEncoder::encode_plain(const PlainText& row) {
  if (config_.train_on != TrainOn::completion) return encode_text(row.text, 0);
  return Error{
      ErrorKind::bad_data,
      "data.train_on: completion needs rows with a prompt and a completion, and this one is "
      "a text",
      "assistant trains all of a text"};
}

Result<Example> RowEncoder::encode_prompted(const PromptedText& row) {
  const std::size_t from = config_.train_on == TrainOn::all ? 0 : row.prompt.size();
  Example example = encode_text(row.prompt + row.completion, from);
  const auto end = model_.eos_id();
  if (end && (example.ids.empty() || example.ids.back() != *end)) {
    example.ids.push_back(*end);
    example.trained.push_back(1);
  }
  return example;
}

Example RowEncoder::encode_text(std::string_view text, std::size_t trained_from) {
  const TextSurround& around = model_.tokenizer().surround();
  const Encoding encoding = texts_.encode_with_ends(text);
  Example example{around.before, {}};
  example.trained.assign(around.before.size(), trained_from == 0);
  for (std::size_t i = 0; i < encoding.ids.size(); ++i) {
    example.ids.push_back(encoding.ids[i]);
    example.trained.push_back(encoding.ends[i] > trained_from);
  }
  example.ids.insert(example.ids.end(), around.after.begin(), around.after.end());
  example.trained.resize(example.ids.size(), 1);
  return example;
}

Result<Example> RowEncoder::encode_tokens(const TokenRow& row) const {
  for (const TokenId id : row.ids) {
    if (id < model_.tokenizer().size()) continue;
    return Error{ErrorKind::bad_data, "the token id " + std::to_string(id) +
                                          " is beyond the model's vocabulary of " +
                                          std::to_string(model_.tokenizer().size())};
  }
  return Example{row.ids, row.trained};
}

}  // namespace mayfly
