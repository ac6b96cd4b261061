#include "agent/action.h"

namespace mayfly {

std::string action_text(const Action& action) {
  switch (action.kind) {
    case ActionKind::start_self_tests:
      return "start_self_tests";
    case ActionKind::start_fetch:
      return "start_fetch";
    case ActionKind::start_trainer:
      return "start_trainer";
    case ActionKind::signal_trainer:
      return "signal_trainer " + std::to_string(action.signal);
    case ActionKind::send_upload:
      return "send_upload " + action.label +
             (action.sink > 0 ? " to sink " + std::to_string(action.sink) : "");
    case ActionKind::release_checkpoint:
      return "release_checkpoint " + action.folder;
    case ActionKind::send_logs:
      return "send_logs";
    case ActionKind::send_status:
      return "send_status";
    case ActionKind::close_request:
      return "close_request " + action.request->file;
    case ActionKind::move_fuse:
      return "move_fuse " + std::to_string(action.fuse_at.count());
    case ActionKind::ask_destroy:
      return "ask_destroy";
    case ActionKind::look_at_instance:
      return "look_at_instance";
    case ActionKind::write_receipt:
      return "write_receipt";
  }
  return "";
}

}  // namespace mayfly
