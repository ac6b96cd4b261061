// decisions.jsonl of a run, damaged or made up: told from whole lines by their seal, and read. A
// line's seal is put on here, for no mutation would find a right one; such lines are read and not
// decided upon again, as a seal guards against accidents and not against numbers that no clock can
// reach.
#include "agent/decision_record.h"
#include "agent/journal.h"
#include "agent/replay.h"
#include "tests/fuzz/fuzzed_file.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace mayfly;
  std::string_view text = text_of(bytes, size);
  for (const std::string& line : read_journal(text).lines) require(is_sealed(line));
  (void)replay(text);
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    std::string line(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (const auto seal = line.rfind(",\"length\":"); seal != std::string::npos) {
      line = line.substr(0, seal) + "}";
    }
    if (line.size() <= 2 || line.front() != '{' || line.back() != '}') continue;
    const std::string sealed = sealed_line(line);
    require(is_sealed(sealed));
    (void)read_record(sealed);
  }
  return 0;
}
