// A decision as a line of decisions.jsonl, and back: with everything it was made from, so that
// `agent replay` can make it again. docs/agent.md has the format.
//
// A line stands alone. `before` is the state with only those members that differ from a new one's,
// `seen` the observation; events that were taken in before are left out.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "agent/state.h"

namespace mayfly {

// What a life of the agent begins with in the journal. `version`: of this program.
std::string begin_record(const AgentPolicy& policy, std::string_view version, WallTime now,
                         Age age);

// One JSON object without a newline, about 2 KB.
std::string decision_record(const AgentState& before, const Observation& seen, const Step& step);

// A line of the journal, read.
struct DecisionRecord {
  AgentState before;
  Observation seen;
  std::string outcome;  // what was decided, as outcome_text has it
};
// Stage, reason, exit code and actions of a step: what two decisions are compared by.
std::string outcome_text(const Step& step);

// Either of the two kinds of lines. Error: corrupt.
struct JournalRecord {
  std::optional<AgentPolicy> begin;
  std::optional<DecisionRecord> decision;
};
Result<JournalRecord> read_record(std::string_view line);

}  // namespace mayfly
