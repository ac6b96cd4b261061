#include "core/text/named_template.h"

#include <array>

namespace mayfly {

namespace {

constexpr std::array<std::string_view, 2> kChatMlTokens = {"<|im_start|>", "<|im_end|>"};
constexpr std::string_view kChatMlSource =
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

}  // namespace

std::optional<NamedTemplate> named_template(std::string_view name) {
  if (name == "chatml") return NamedTemplate{kChatMlSource, kChatMlTokens};
  return std::nullopt;
}

}  // namespace mayfly
