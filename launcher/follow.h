// Watching a run from its first sign of life to the proof that its machine is gone.
#pragma once

#include "core/exit_code.h"
#include "core/provider/provider.h"
#include "core/result.h"
#include "core/run/plan.h"
#include "launcher/command_line.h"
#include "launcher/desk.h"

namespace mayfly {

// While one lives, Ctrl-C and SIGTERM are noted instead of ending the program: the machine goes on
// either way, and the user is told so. One at a time.
class Interrupts {
 public:
  Interrupts();
  ~Interrupts();
  Interrupts(const Interrupts&) = delete;
  Interrupts& operator=(const Interrupts&) = delete;
  // The signal that came, or 0.
  static int seen();
};

// Waits for the agent's first status, at most instance.boot_timeout; then the machine is destroyed.
// False: interrupted. Errors: failed (the machine died or nobody reported; it is destroyed),
// outcome_unknown (and that could not be confirmed).
Result<bool> wait_for_heartbeat(const RunPlan& plan, const InstanceId& id, Provider& provider,
                                Desk& desk);

// Until the machine is gone, with a progress bar and events (--follow), or quietly (--wait). Then
// completes the receipt and prints the summary. The exit code says how the run ended; 130 when the
// user stopped watching, 124 when --timeout ran out. Errors: the provider's.
Result<ExitCode> follow_run(const RunPlan& plan, const RunFlags& flags, Provider& provider,
                            Desk& desk);

}  // namespace mayfly
