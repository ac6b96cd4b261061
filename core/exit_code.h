// The one table of exit codes, the same for launch, status, agent, train and localhub.
// docs/exit_codes.md says what each means to a user; no other file holds a number.
#pragma once

#include "core/result.h"

namespace mayfly {

enum class ExitCode : int {
  ok = 0,
  internal = 1,
  usage = 2,
  refused = 3,
  unreachable = 4,
  not_found = 5,
  unauthorized = 6,
  no_capacity = 7,
  guard = 8,
  not_verified = 9,  // something may still cost money, or uploaded bytes differ
  training_failed = 10,
  diverged = 11,
  out_of_memory = 12,
  bad_data = 13,
  spend_limit = 14,  // 14 to 17: ended by a limit, and the work was saved
  ttl = 15,
  idle = 16,
  reclaimed = 17,
  upload_failed = 18,
  needs_attention = 20,  // status: a run needs attention
  orphan = 21,           // status: an instance of nobody's is billing
  timed_out = 124,       // --wait or --timeout ran out
  interrupted = 130,     // SIGINT
  terminated = 143,      // SIGTERM
};

constexpr ExitCode exit_code(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::internal:
      return ExitCode::internal;
    case ErrorKind::usage:
    case ErrorKind::invalid_config:
    case ErrorKind::unsupported:
      return ExitCode::usage;
    case ErrorKind::refused:
    case ErrorKind::rate_limited:
      return ExitCode::refused;
    case ErrorKind::unreachable:
      return ExitCode::unreachable;
    case ErrorKind::not_found:
      return ExitCode::not_found;
    case ErrorKind::unauthorized:
      return ExitCode::unauthorized;
    case ErrorKind::no_capacity:
      return ExitCode::no_capacity;
    case ErrorKind::guard:
      return ExitCode::guard;
    case ErrorKind::outcome_unknown:
      return ExitCode::not_verified;
    case ErrorKind::corrupt:
    case ErrorKind::bad_data:
      return ExitCode::bad_data;
    case ErrorKind::out_of_memory:
      return ExitCode::out_of_memory;
    case ErrorKind::diverged:
      return ExitCode::diverged;
    case ErrorKind::no_space:
    case ErrorKind::failed:
      return ExitCode::training_failed;
  }
  return ExitCode::internal;
}

}  // namespace mayfly
