// Training data as people keep it.
#include "core/text/records.h"
#include "tests/fuzz/fuzzed_file.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace mayfly;
  const auto records =
      parse_records(text_of(bytes, size), "fuzzed.jsonl", DataFormat::automatic, 0);
  if (!records) return 0;
  for (const Record& record : records->records) {
    if (const auto* tokens = std::get_if<TokenRow>(&record.content)) {
      require(!tokens->ids.empty() && tokens->ids.size() == tokens->trained.size());
    }
    const auto* chat = std::get_if<Conversation>(&record.content);
    if (chat == nullptr) continue;
    bool answers = false;
    for (const Message& message : chat->messages) answers |= message.role == "assistant";
    require(answers);
  }
  return 0;
}
