// What the agent can do to the world.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "core/run/request.h"

namespace mayfly {

enum class ActionKind {
  start_self_tests,
  start_fetch,
  start_trainer,
  signal_trainer,      // signal
  send_upload,         // label, folder, sink
  release_checkpoint,  // folder: the trainer may delete it when it needs room
  send_logs,           // the run's logs and its status
  send_status,         // its status alone
  close_request,       // request
  move_fuse,           // fuse_at: the hard deadline that the fuse must leave room for
  ask_destroy,
  look_at_instance,
  write_receipt,
};
struct Action {
  ActionKind kind;
  int signal = 0;
  std::string label = {};
  std::string folder = {};
  int sink = 0;  // 0: the hub
  std::optional<Request> request = {};
  std::chrono::milliseconds fuse_at{};  // age of the instance
};
// "start_trainer", "send_upload checkpoint-epoch-2": for the journal.
std::string action_text(const Action& action);

}  // namespace mayfly
