// A model's chat template: messages to the text the model was trained to read.
//
// Jinja, run by the engine of llama.cpp (see cmake/Jinja.cmake), which renders as transformers does
// with trim_blocks and lstrip_blocks. Templates come with models and are not trusted: source,
// nesting, steps, depth of calls, ranges and output are limited.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/clock.h"
#include "core/result.h"
#include "core/text/message.h"
#include "core/text/tokenizer_config.h"

namespace mayfly {

// Bytes [begin, end) of a text.
struct TextSpan {
  std::size_t begin;
  std::size_t end;
};

struct RenderedText {
  std::string text;
  // What came out of the contents of the assistant's messages, in order; a message whose content is
  // empty gives an empty span. Templates that take a content apart can give several spans for one
  // message, or none.
  std::vector<TextSpan> assistant;
};

// Immutable; any number of threads.
class ChatTemplate {
 public:
  // The template of `config`. `today` is what strftime_now answers, so that a run that is resumed
  // another day reads the same texts. Errors: unsupported, when there is no template, or one that
  // cannot be understood or is too large.
  static Result<ChatTemplate> compile(const TokenizerConfig& config, WallTime today);

  ChatTemplate(ChatTemplate&&) noexcept;
  ChatTemplate& operator=(ChatTemplate&&) noexcept;
  ~ChatTemplate();

  const TokenizerConfig& config() const;

  // Error: bad_data, with the template's own words (raise_exception) or what it could not do.
  Result<RenderedText> render(std::span<const Message> messages, bool add_generation_prompt) const;

 private:
  struct Compiled;
  explicit ChatTemplate(std::unique_ptr<Compiled> compiled);
  std::unique_ptr<Compiled> compiled_;
};

}  // namespace mayfly
