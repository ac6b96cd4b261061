#include "core/text/row_grams.h"

#include <string>
#include <variant>

namespace mayfly {

namespace {

std::string text_of(const Conversation& chat) {
  std::string text;
  for (const Message& message : chat.messages) {
    if (message.role == "system" || message.role == "developer") continue;
    text += message.content + "\n";
  }
  return text;
}

}  // namespace

WordGrams row_grams(const Record& record) {
  if (const auto* chat = std::get_if<Conversation>(&record.content)) {
    return word_grams(text_of(*chat));
  }
  if (const auto* prompted = std::get_if<PromptedText>(&record.content)) {
    return word_grams(prompted->prompt + "\n" + prompted->completion);
  }
  if (const auto* plain = std::get_if<PlainText>(&record.content)) return word_grams(plain->text);
  const std::vector<TokenId>& ids = std::get<TokenRow>(record.content).ids;
  return word_grams(std::vector<std::uint64_t>(ids.begin(), ids.end()));
}

}  // namespace mayfly
