#include "agent/ending.h"

#include <algorithm>
#include <array>

namespace mayfly {

namespace {

// The trainer's words for its failures are the names of ErrorKind.
constexpr std::array kWords = {
    std::pair{std::string_view("bad_data"), ExitCode::bad_data},
    std::pair{std::string_view("corrupt"), ExitCode::bad_data},
    std::pair{std::string_view("diverged"), ExitCode::diverged},
    std::pair{std::string_view("out_of_memory"), ExitCode::out_of_memory},
    std::pair{std::string_view("invalid_config"), ExitCode::usage},
    std::pair{std::string_view("unsupported"), ExitCode::usage},
    std::pair{std::string_view("usage"), ExitCode::usage},
    std::pair{std::string_view("not_found"), ExitCode::not_found},
    std::pair{std::string_view("unauthorized"), ExitCode::unauthorized},
    std::pair{std::string_view("unreachable"), ExitCode::unreachable},
    std::pair{std::string_view("guard"), ExitCode::guard},
};

ExitCode failure_code(const AgentState& state, const std::optional<Error>& fetch_error) {
  for (const auto& [word, code] : kWords) {
    if (state.failure_kind == word) return code;
  }
  if (!fetch_error || fetch_error->kind == ErrorKind::unsupported) {
    return ExitCode::training_failed;  // `usage` says that nothing was started
  }
  return exit_code(fetch_error->kind);
}

}  // namespace

bool is_permanent(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::unauthorized:
    case ErrorKind::refused:
    case ErrorKind::not_found:
    case ErrorKind::invalid_config:
    case ErrorKind::unsupported:
    case ErrorKind::usage:
      return true;
    default:
      return false;
  }
}

bool is_final(const Error& error) {
  return is_permanent(error.kind) || error.kind == ErrorKind::no_space ||
         error.kind == ErrorKind::guard;
}

bool is_hopeless(std::string_view failure_kind) {
  constexpr std::array kHopeless = {
      std::string_view("bad_data"),    std::string_view("corrupt"),
      std::string_view("diverged"),    std::string_view("invalid_config"),
      std::string_view("unsupported"), std::string_view("usage"),
      std::string_view("not_found"),   std::string_view("refused"),
      std::string_view("no_space"),
  };
  return std::find(kHopeless.begin(), kHopeless.end(), failure_kind) != kHopeless.end();
}

ExitCode ending_code(const AgentPolicy& policy, const AgentState& state,
                     const std::optional<Error>& fetch_error) {
  // Destroyed at once, say, before the adapter was even on its way.
  const bool never_sent =
      state.reason == StopReason::finished && policy.has_hub && !state.final_queued;
  const bool lost = never_sent || std::any_of(state.uploads.begin(), state.uploads.end(),
                                              [](const Upload& upload) {
                                                return upload.state != Upload::State::safe;
                                              });
  // It is there, and nobody can use it: not to be taken for a good end.
  const bool broken = std::any_of(
      state.uploads.begin(), state.uploads.end(),
      [](const Upload& upload) { return upload.label == "main" && !upload.flag.empty(); });
  switch (state.reason) {
    case StopReason::none:
      return ExitCode::internal;
    case StopReason::finished:
      if (lost) return ExitCode::upload_failed;
      return broken ? ExitCode::diverged : ExitCode::ok;
    case StopReason::spend_limit:
      return lost ? ExitCode::upload_failed : ExitCode::spend_limit;
    case StopReason::ttl:
      return lost ? ExitCode::upload_failed : ExitCode::ttl;
    case StopReason::idle:
      return lost ? ExitCode::upload_failed : ExitCode::idle;
    case StopReason::reclaimed:
      return lost ? ExitCode::upload_failed : ExitCode::reclaimed;
    case StopReason::asked:
    case StopReason::terminated:
      return ExitCode::terminated;
    case StopReason::stalled:
      return ExitCode::training_failed;
    case StopReason::failed:
      return failure_code(state, fetch_error);
  }
  return ExitCode::internal;
}

}  // namespace mayfly
