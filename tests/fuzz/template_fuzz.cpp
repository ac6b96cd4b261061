// A chat template of a stranger: it may do little, write little, and nothing else.
#include <array>

#include "core/text/template.h"
#include "tests/fuzz/fuzzed_file.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace mayfly;
  TokenizerConfig config;
  config.chat_template = std::string(text_of(bytes, size));
  config.chat_template_file = "fuzzed.jinja";
  config.bos_token = "<s>";
  config.eos_token = "</s>";
  const auto compiled = ChatTemplate::compile(config, WallTime{});
  if (!compiled) return 0;
  const std::array messages = {Message{"system", "Be brief."}, Message{"user", "1 < 2?"},
                               Message{"assistant", "Yes."}};
  const auto rendered = compiled->render(messages, true);
  if (!rendered) return 0;
  for (const TextSpan& span : rendered->assistant) {
    require(span.begin <= span.end && span.end <= rendered->text.size());
  }
  return 0;
}
