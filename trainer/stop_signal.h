// What SIGTERM, SIGINT and SIGUSR1 ask of a training run. The handlers only count; the loop looks
// between two steps.
//
//   SIGTERM, SIGINT   save a checkpoint after this step and end, exit 0; a second one ends the
//                     process at once (143, 130)
//   SIGUSR1           save a checkpoint after this step and go on
//   SIGQUIT           print the stack of the main thread to standard error and go on; what the
//   agent
//                     sends to a trainer that stalled before it kills it
//   SIGXFSZ           ignored, so that a file-size limit is an error of write() and not a death
#pragma once

namespace mayfly {

// Installs the handlers; once, early in main.
void install_stop_signals();

// A stop was asked for. Stays true.
bool stop_requested();

// A checkpoint was asked for since the last call.
bool take_checkpoint_request();

}  // namespace mayfly
