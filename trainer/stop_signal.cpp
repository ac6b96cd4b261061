#include "trainer/stop_signal.h"

#include <csignal>

#include <execinfo.h>
#include <unistd.h>

#include "core/exit_code.h"

namespace mayfly {

namespace {

// The one place where state must be global: a handler has no other way to leave word.
volatile std::sig_atomic_t stops = 0;
volatile std::sig_atomic_t checkpoint_requests = 0;

void on_stop(int signal) {
  if (stops != 0) {
    // _exit: nothing but async-signal-safe calls, and nothing half-written is renamed into place.
    ::_exit(static_cast<int>(signal == SIGINT ? ExitCode::interrupted : ExitCode::terminated));
  }
  stops = 1;
}

void on_checkpoint(int) {
  checkpoint_requests = 1;
}

void on_quit(int) {
  constexpr char kTitle[] = "stack of the main thread:\n";
  (void)!::write(STDERR_FILENO, kTitle, sizeof kTitle - 1);
  void* frames[64];
  ::backtrace_symbols_fd(frames, ::backtrace(frames, 64), STDERR_FILENO);
}

void install(int signal, void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;  // a write that is under way goes on
  sigemptyset(&action.sa_mask);
  sigaction(signal, &action, nullptr);
}

}  // namespace

void install_stop_signals() {
  install(SIGTERM, on_stop);
  install(SIGINT, on_stop);
  install(SIGUSR1, on_checkpoint);
  void* frame = nullptr;
  (void)::backtrace(&frame, 1);  // the first call loads a library, which a handler must not
  install(SIGQUIT, on_quit);
  install(SIGXFSZ, SIG_IGN);
}

bool stop_requested() {
  return stops != 0;
}

bool take_checkpoint_request() {
  const bool asked = checkpoint_requests != 0;
  checkpoint_requests = 0;
  return asked;
}

}  // namespace mayfly
