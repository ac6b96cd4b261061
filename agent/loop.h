// The agent's turn: look, decide, note, remember, act - in this order.
//
// The decision is in the journal and the state is saved before anything is done about it, so that
// a next life of the agent, after kill -9 at any point, decides the same again (I7). A disk that
// refuses to be written to delays nothing: the turn goes on from memory (I8).
#pragma once

#include <string>

#include "agent/state.h"
#include "core/result.h"

namespace mayfly {

// The outside of the agent. One kind is the instance (agent/machine.h), the other the simulation of
// the tests.
class World {
 public:
  virtual ~World() = default;
  virtual Observation observe() = 0;
  // `decision`: a record of agent/decision_record.h. On disk when it returns.
  virtual Status note(const std::string& decision) = 0;
  virtual Status save(const AgentState& state) = 0;
  // Starts what the action says. Never waits for it: the outcome is part of a later observation.
  virtual void act(const Action& action, const AgentState& state) = 0;
};

// One turn, about four times a second. Returns the new state.
AgentState take_turn(const AgentPolicy& policy, const AgentState& state, World& world);

}  // namespace mayfly
