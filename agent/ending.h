// What failures mean for a run: whether to try again, and with which code the run ends.
#pragma once

#include <optional>
#include <string_view>

#include "agent/state.h"
#include "core/exit_code.h"

namespace mayfly {

// Whether sending the same again cannot help: the other side, or a person, has to change something.
bool is_permanent(ErrorKind kind);

// Whether a trainer that failed for this reason would fail in the same way again.
bool is_hopeless(std::string_view failure_kind);

// Whether there is no use in trying a self-test again that failed like this.
bool is_final(const Error& error);

// By the stop reason, what is safe, and what the trainer said. `fetch_error`: if fetching failed.
ExitCode ending_code(const AgentPolicy& policy, const AgentState& state,
                     const std::optional<Error>& fetch_error);

}  // namespace mayfly
