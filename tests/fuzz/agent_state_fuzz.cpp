// agent/state.json as a next life of the agent finds it, and the documents beside it: damaged they
// are refused, whole they read back to themselves.
#include <nlohmann/json.hpp>

#include "agent/state_json.h"
#include "core/json.h"
#include "core/provider/receipt.h"
#include "core/run/run_status.h"
#include "tests/fuzz/fuzzed_file.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace mayfly;
  const auto document = parse_json(text_of(bytes, size), "fuzzed");
  if (!document) return 0;
  if (const auto memory = memory_from_json(*document)) {
    const std::string text = json_line(memory_to_json(*memory));
    const auto again = memory_from_json(nlohmann::json::parse(text));
    require(again && json_line(memory_to_json(*again)) == text);
  }
  if (const auto status = status_from_json(*document)) (void)status_to_json(*status);
  return 0;
}
