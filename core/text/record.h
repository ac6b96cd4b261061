// One row of training data, whatever shape it was written in.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "core/text/message.h"
#include "core/text/tokenizer_spec.h"

namespace mayfly {

// A chat; at least one message is the assistant's. The model's template makes the text.
struct Conversation {
  std::vector<Message> messages;
  std::size_t prompt_size = 0;  // messages that are the prompt; 0: nobody said which
};

// A beginning that is given and an end that is trained, both as they are: no template.
struct PromptedText {
  std::string prompt;
  std::string completion;
};

// A text of which every token is trained; no template.
struct PlainText {
  std::string text;
};

// Tokens that somebody else made. `trained` has an entry for each id, 1 or 0.
struct TokenRow {
  std::vector<TokenId> ids;
  std::vector<std::uint8_t> trained;
};

struct Record {
  std::variant<Conversation, PromptedText, PlainText, TokenRow> content;
  int line = 0;           // from 1; of a file that is one JSON list, the place in the list
  std::string json = {};  // as it was given, for RecordNames::keep_json
};

}  // namespace mayfly
