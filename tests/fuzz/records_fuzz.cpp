// Training data as people keep it.
#include "core/text/records.h"
#include "tests/fuzz/fuzzed_file.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace mayfly;
  const auto records = parse_records(text_of(bytes, size), "fuzzed.jsonl", 0);
  if (!records) return 0;
  for (const Record& record : records->records) {
    bool answers = false;
    for (const Message& message : record.messages) answers |= message.role == "assistant";
    require(answers);
  }
  return 0;
}
