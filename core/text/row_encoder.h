// Rows of every shape to tokens, and which of them are trained.
//
// - a conversation: by the model's chat template (chat.h);
// - a prompt and its completion: the one text of both, with what the tokenizer puts around a text
//   and the end-of-sequence token where it is missing; of it the completion is trained, from the
//   first token that has a character of it (train_on: all: everything). As TRL 1.16 does;
// - a plain text: the tokens that the tokenizer makes of it, all trained, and nothing added
//   (train_on: completion: an error);
// - tokens: as they are.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/config/data_config.h"
#include "core/result.h"
#include "core/text/chat.h"
#include "core/text/record.h"
#include "core/text/text_model.h"

namespace mayfly {

// One thread. Model and configuration must outlive it.
class RowEncoder {
 public:
  RowEncoder(const TextModel& model, const DataConfig& config);

  // The whole row, not cut. Errors without a place: unsupported (a conversation, and no template
  // that can show it), bad_data (what the template or the tokenizer cannot take).
  Result<Example> encode(const Record& record);
  // The text that encode() makes tokens of; of tokens, what they stand for.
  Result<std::string> text_of(const Record& record);
  // What closes an answer in a chat; empty when nothing does, or no chat was seen yet.
  const std::vector<std::string>& turn_ends() const;

 private:
  Status prepare_chats();
  std::vector<Message> with_system_prompt(const Conversation& conversation) const;
  Result<Example> encode_conversation(const Conversation& conversation);
  Result<Example> encode_prompted(const PromptedText& row);
  Result<Example> encode_plain(const PlainText& row);
  Result<Example> encode_tokens(const TokenRow& row) const;
  // With what the tokenizer puts around a text; trained is what ends after byte `trained_from`.
  Example encode_text(std::string_view text, std::size_t trained_from);

  const TextModel& model_;
  const DataConfig& config_;
  Encoder texts_;
  std::optional<ChatEncoder> chats_;  // made for the first conversation
};

}  // namespace mayfly
