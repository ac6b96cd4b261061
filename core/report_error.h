// How every program says that it failed: to a person as
//   error: run.yaml:3:5: no key "trian"
//     hint: did you mean "train"?
// and with --json to a script, as one line on standard error with nothing on standard output:
//   {"ok":false,"error":{"code","message","hint","exit_code","retryable","location"}}
//
// Tokens that slipped into a message are masked here as in the log.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/exit_code.h"
#include "core/result.h"

namespace mayfly {

// "invalid_config": the word for a kind in JSON. Stable.
std::string_view error_code(ErrorKind kind);

// Whether the same command can succeed later without anybody changing anything.
bool is_retryable(ErrorKind kind);

// What report_error prints, with its newline.
std::string error_text(const Error& error);
std::string error_json(const Error& error);

// Prints to standard error; returns the code to exit with.
ExitCode report_error(const Error& error, bool json);

// Several faults found at once (a config file's). The first decides the exit code; in JSON the
// others follow it as "more". Requires at least one.
ExitCode report_errors(const std::vector<Error>& errors, bool json);

}  // namespace mayfly
