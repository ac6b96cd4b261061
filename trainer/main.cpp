// train: fine-tunes, evaluates and tries models; on the instance as a child of the agent, on a
// laptop by hand. Reads the command line, calls one verb, and turns what comes back into an exit
// code.
#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "core/exit_code.h"
#include "core/report_error.h"
#include "trainer/command_line.h"
#include "trainer/failure.h"
#include "trainer/rank_processes.h"
#include "trainer/stop_signal.h"
#include "trainer/thread_waiting.h"
#include "trainer/verbs.h"

int main(int count, char** words) {
  using namespace mayfly;
  const std::vector<std::string> arguments(words + 1, words + count);
  const Result<TrainCommandLine> line = parse_train(arguments);
  if (!line) {
    const bool json = std::find(arguments.begin(), arguments.end(), "--json") != arguments.end();
    return static_cast<int>(report_error(line.error(), json));
  }
  if (!line->show.empty()) {
    std::fputs(line->show.c_str(), stdout);
    return static_cast<int>(ExitCode::ok);
  }
  make_threads_wait_briefly(words);
  end_with_first_rank();
  install_stop_signals();
  const std::vector<Error> errors = run_verb(*line);
  return static_cast<int>(errors.empty() ? ExitCode::ok : report_errors(errors, line->json));
}
