#include "agent/state.h"

#include "agent/decision.h"

namespace mayfly {

std::string_view stage_name(Stage stage) {
  switch (stage) {
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

Step advance(const AgentPolicy& policy, AgentState state, const Observation& seen) {
  Step step{std::move(state), {}};
  step.actions = Decision(policy, step.state, seen).decide();
  return step;
}

}  // namespace mayfly
