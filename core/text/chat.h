// Conversations to tokens, and which of them are trained.
//
// Trained are, of every assistant turn, its text and its end-of-turn token, and nothing the
// template puts after it. Templates say where a turn begins and ends only by what they write, so it
// is found out: the template marks what came from an assistant's message; what it writes to make
// the model answer (its generation prompt) is where the turn begins; and the first special token it
// writes after a last answer is how a turn ends. Then tokens are chosen by their place in the whole
// text, since ids must come from the text as a whole: a token is trained when any of its characters
// is. The same as transformers' {% generation %} masks, without the markers.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/config/data_config.h"
#include "core/result.h"
#include "core/text/message.h"
#include "core/text/template.h"
#include "core/text/tokenizer.h"

namespace mayfly {

// A conversation as tokens. `trained` has an entry for each id, 1 or 0.
struct Example {
  std::vector<TokenId> ids;
  std::vector<std::uint8_t> trained;

  std::size_t trained_count() const;
};

// How the template writes an assistant's turn; see the head of this file.
struct TurnMarks {
  std::string prompt;  // "<|im_start|>assistant\n"; "" when the template has no generation prompt
  std::string end;     // "<|im_end|>"; "" when it closes a turn with no special token
};

// One thread. The tokenizer and the template must outlive it.
class ChatEncoder {
 public:
  // Asks the template how it writes turns. Error: unsupported, when it cannot even render a
  // question and an answer.
  static Result<ChatEncoder> create(const Tokenizer& tokenizer, const ChatTemplate& chat_template,
                                    TrainOn train_on);

  const TurnMarks& marks() const {
    return marks_;
  }

  struct Text {
    std::string text;
    std::vector<TextSpan> trained;  // in order, apart
  };
  // Error: bad_data, when the template refuses the conversation.
  Result<Text> render(std::span<const Message> messages) const;
  // The whole conversation, not cut. A conversation of which nothing is trained has no 1 in
  // `trained`; what to do about it is the caller's choice.
  Result<Example> encode(std::span<const Message> messages);

 private:
  ChatEncoder(const Tokenizer& tokenizer, const ChatTemplate& chat_template, TrainOn train_on,
              TurnMarks marks);

  const ChatTemplate& template_;
  TrainOn train_on_;
  TurnMarks marks_;
  Encoder encoder_;
};

// Keeps the first `cutoff_len` tokens. True when there were more.
bool truncate(Example& example, std::int64_t cutoff_len);

}  // namespace mayfly
