// Which part of a rendered conversation the assistant wrote.
//
// Trained are, of every assistant turn, its text and its end-of-turn token, and nothing the
// template puts after it. Templates say where a turn begins and ends only by what they write, so it
// is found out:
// - the template engine marks what came out of an assistant's content;
// - what the template writes to make the model answer (its generation prompt) is where a turn
//   begins: what stands between it and the content (an empty block of thoughts) is the model's;
// - the first special token that it writes after an answer is how a turn ends.
// Where marks do not survive a template (it takes contents apart), each message is rendered again
// with an invisible sign in its text, and the sign is looked for.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "core/text/message.h"
#include "core/text/template.h"
#include "core/text/tokenizer.h"

namespace mayfly {

// How a template writes an assistant's turn.
struct TurnMarks {
  // What stands before an answer and is not the model's to write, "<|im_start|>assistant\n"; before
  // an answer with thoughts of its own it may be less. None when nothing stands there.
  std::vector<std::string> prompts;
  // What closes an answer, "<|im_end|>"; the last answer's may differ from the others'. None when
  // no special token does.
  std::vector<std::string> ends;
};

struct RenderedTurns {
  std::string text;
  std::vector<TextSpan> turns;  // in order, apart; turns that the template leaves out are not here
};

// Immutable; any number of threads. The template must outlive it.
class TurnFinder {
 public:
  // Asks the template how it writes turns. Error: unsupported, when it cannot even render a
  // question and an answer.
  static Result<TurnFinder> create(const Tokenizer& tokenizer, const ChatTemplate& chat_template);

  const TurnMarks& marks() const {
    return marks_;
  }

  // Error: bad_data, when the template refuses the conversation or a turn cannot be found in it.
  Result<RenderedTurns> render(std::span<const Message> messages) const;
  // One turn: all that the template writes after the first `prompt_size` messages and its
  // generation prompt, whoever says it, as TRL 1.16 does with completion_only_loss. Error:
  // bad_data, when there is no prompt, or the template writes it otherwise before a completion.
  Result<RenderedTurns> render_completion(std::span<const Message> messages,
                                          std::size_t prompt_size) const;

 private:
  TurnFinder(const ChatTemplate& chat_template, TurnMarks marks);

  std::optional<std::vector<TextSpan>> by_marks(const RenderedText& rendered,
                                                std::size_t answers) const;
  Result<std::vector<TextSpan>> by_signs(std::string_view text,
                                         std::span<const Message> messages) const;
  Result<std::optional<TextSpan>> content_by_signs(std::string_view text,
                                                   std::span<const Message> messages,
                                                   std::size_t index) const;
  std::optional<std::size_t> prompt_end(std::string_view text, std::size_t from,
                                        std::size_t to) const;
  std::size_t with_end(std::string_view text, std::size_t content_end) const;

  const ChatTemplate* template_;
  TurnMarks marks_;
};

}  // namespace mayfly
