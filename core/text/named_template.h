// Chat templates that are known by a name (data.chat_template). One so far: those of other families
// are their publishers' texts and come with their models.
#pragma once

#include <optional>
#include <span>
#include <string_view>

namespace mayfly {

struct NamedTemplate {
  std::string_view source;                   // Jinja
  std::span<const std::string_view> tokens;  // that it writes, and a tokenizer must have
};

// chatml: every message between <|im_start|> and <|im_end|>, as OpenAI's ChatML (2023) and the
// models that follow it. It adds nothing: no system message, no date. nullopt: no such name.
std::optional<NamedTemplate> named_template(std::string_view name);

}  // namespace mayfly
