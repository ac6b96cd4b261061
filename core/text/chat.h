// Conversations to tokens, and which of them are trained (core/text/turns.h says which those are).
//
// Ids come from the whole text, as transformers makes them; a token is trained when any of its
// characters is. The same as transformers' {% generation %} masks, without the markers.
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
#include "core/text/turns.h"

namespace mayfly {

// A conversation as tokens. `trained` has an entry for each id, 1 or 0.
struct Example {
  std::vector<TokenId> ids;
  std::vector<std::uint8_t> trained;

  std::size_t trained_count() const;
};

// One thread. The tokenizer and the template must outlive it.
class ChatEncoder {
 public:
  // Error: unsupported, when the template cannot even render a question and an answer.
  static Result<ChatEncoder> create(const Tokenizer& tokenizer, const ChatTemplate& chat_template,
                                    TrainOn train_on);

  const TurnMarks& marks() const {
    return turns_.marks();
  }

  // The text, and what of it is trained; the first `prompt_size` messages are the prompt, 0: there
  // is none. Error: bad_data, when the template refuses the conversation, a turn cannot be found,
  // or train_on is completion and it has no prompt.
  Result<RenderedTurns> render(std::span<const Message> messages, std::size_t prompt_size) const;
  // The whole conversation, not cut. A conversation of which nothing is trained has no 1 in
  // `trained`; what to do about it is the caller's choice.
  Result<Example> encode(std::span<const Message> messages, std::size_t prompt_size);

 private:
  ChatEncoder(const Tokenizer& tokenizer, TurnFinder turns, TrainOn train_on);

  TurnFinder turns_;
  TrainOn train_on_;
  Encoder encoder_;
};

// Keeps the first, or the last, `cutoff_len` tokens. True when there were more.
bool truncate(Example& example, std::int64_t cutoff_len, bool keep_end);
// All of it, in pieces of `cutoff_len` tokens and what is left.
std::vector<Example> split(const Example& example, std::int64_t cutoff_len);

}  // namespace mayfly
