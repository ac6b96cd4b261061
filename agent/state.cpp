#include "agent/state.h"

#include <algorithm>

#include "agent/decision.h"

namespace mayfly {

std::string_view stage_name(Stage stage) {
  switch (stage) {
    case Stage::arming:
      return "arming";
    case Stage::fetching:
      return "fetching";
    case Stage::training:
      return "training";
    case Stage::saving:
      return "saving";
    case Stage::uploading:
      return "uploading";
    case Stage::kept:
      return "kept";
    case Stage::destroying:
      return "destroying";
    case Stage::confirming:
      return "confirming";
  }
  return "";
}

Age save_until(const AgentState& state) {
  const double steps_ms = 2000.0 * state.progress.seconds_per_step.value_or(0.0);
  const Age in_peace = state.entered_at + kSaveTakes + Age(static_cast<std::int64_t>(steps_ms));
  return std::min(in_peace, state.reclaimed_at - kReclaimTakes + kReclaimSave);
}

Step advance(const AgentPolicy& policy, AgentState state, const Observation& seen) {
  Step step{std::move(state), {}};
  step.actions = Decision(policy, step.state, seen).decide();
  return step;
}

}  // namespace mayfly
