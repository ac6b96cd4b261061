#include "agent/loop.h"

#include "agent/decision_record.h"
#include "core/log.h"

namespace mayfly {

namespace {

// Mere progress is not worth a synced write four times a second: events.jsonl has it, and a next
// life reads it from there.
bool worth_noting(const AgentState& before, const Step& step) {
  return !step.actions.empty() || before.stage != step.state.stage ||
         before.reason != step.state.reason;
}

}  // namespace

AgentState take_turn(const AgentPolicy& policy, const AgentState& state, World& world) {
  const Observation seen = world.observe();
  Step step = advance(policy, state, seen);
  if (worth_noting(state, step)) {
    const Status noted = world.note(decision_record(state, seen, step));
    const Status saved = world.save(step.state);
    if (!noted) log_error("cannot note a decision, going on: " + noted.error().message);
    if (!saved) log_error("cannot save the state, going on: " + saved.error().message);
    if (state.stage != step.state.stage) {
      log_info(std::string(stage_name(state.stage)) + " -> " +
               std::string(stage_name(step.state.stage)) +
               "  reason=" + std::string(stop_reason_name(step.state.reason)) + " detail=\"" +
               step.state.detail + "\"");
    }
  }
  for (const Action& action : step.actions) world.act(action, step.state);
  return std::move(step.state);
}

}  // namespace mayfly
