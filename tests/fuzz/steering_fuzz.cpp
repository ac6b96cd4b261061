// What anybody on the machine may send to the agent's doors, and the events that its page draws.
#include "agent/gpu_meter.h"
#include "agent/loss_curve.h"
#include "agent/steering_request.h"
#include "tests/fuzz/fuzzed_file.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace mayfly;
  const std::string_view text = text_of(bytes, size);
  const auto request = parse_steering_request(text);
  if (request && *request) {
    require((*request)->body.size() <= kMostRequestBytes);
    require((*request)->path.starts_with('/'));
    // The same bytes and more are the same request.
    const auto longer = parse_steering_request(std::string(text) + "x");
    require(longer && *longer && (*longer)->body == (*request)->body);
  }
  if (request && !*request) require(size < kMostRequestBytes);
  (void)parse_gpu_use(text);
  const FuzzedFile file(bytes, size);
  LossCurve curve(file.path());
  curve.read_new();
  require(curve.losses().size() < 512);
  (void)curve_svg(curve);
  return 0;
}
