// A trainer's events, of which each may be torn or hostile: what is read must be written the same.
#include <fstream>

#include "core/run/event.h"
#include "core/run/event_tail.h"
#include "tests/fuzz/fuzzed_file.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace mayfly;
  const FuzzedFile file(bytes, size);
  EventTail tail(file.path());
  const auto events = tail.read_new();
  if (!events) return 0;
  for (const Event& event : *events) {
    const std::string line = event_line(event);
    const auto again = parse_event(line);
    require(again && *again && event_line(**again) == line);
  }
  return 0;
}
