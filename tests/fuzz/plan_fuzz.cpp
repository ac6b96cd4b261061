// The plan as the agent reads it on the instance: what is accepted must read back to itself.
#include <nlohmann/json.hpp>

#include "core/json.h"
#include "core/run/plan.h"
#include "tests/fuzz/fuzzed_file.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace mayfly;
  const auto document = parse_json(text_of(bytes, size), "fuzzed");
  if (!document) return 0;
  const auto plan = plan_from_json(*document);
  if (!plan) return 0;
  const std::string hash = plan_hash(*plan);
  const auto again = plan_from_json(plan_to_json(*plan));
  require(again && plan_hash(*again) == hash);
  return 0;
}
