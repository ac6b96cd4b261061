// The one trainer of the run: started, signalled, watched, and found again.
//
// It inherits no token, only how to find programs and devices, and two marks: which instance it
// belongs to (so that it dies with it) and which run directory it works on. By the second mark an
// agent that was restarted finds the trainer that an earlier life had started, so there are never
// two trainers in one run directory.
//
// On a rented machine systemd starts it in the agent's place (cloud-init/mayfly-trainer.service):
// as another user, without a network, without any right. Then systemd is asked what became of it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "agent/state.h"
#include "core/process_table.h"
#include "core/result.h"
#include "core/run/directory.h"

namespace mayfly {

class TrainerProcess {
 public:
  // `program`: the `train` binary. `unit`: of systemd, which starts it; "": a child of ours.
  TrainerProcess(std::filesystem::path program, RunDirectory run, std::string unit);

  // Looks for a trainer that works on this run directory already; more than one are all killed.
  void adopt();

  // Its output is appended to logs/train.log. Error: not_found, refused.
  Status start();
  // SIGKILL goes to the trainer's whole process group. Without a trainer nothing happens.
  void send(int signal);
  // Never waits.
  TrainerView view();

 private:
  Status start_unit();
  // Fills `last_` when the trainer has ended; `code` as TrainerView has it.
  void note_end(std::optional<int> code);
  // How systemd says that the unit's program ended.
  std::optional<int> code_of_unit() const;
  std::optional<ProcessInfo> process_of_unit() const;

  std::filesystem::path program_;
  RunDirectory run_;
  std::string unit_;
  std::optional<ProcessInfo> process_;
  bool is_child_ = false;
  bool was_killed_here_ = false;
  std::int64_t kernel_kills_before_ = 0;
  TrainerView last_;
};

// The variable that marks a trainer; its value is the run directory.
constexpr std::string_view kTrainerVariable = "MAYFLY_TRAINER_OF";

}  // namespace mayfly
