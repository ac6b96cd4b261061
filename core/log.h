// People's log: one line an occurrence, UTC, "key=value" at its end. Events for machines are in
// core/run/event.h.
//
// A facade without spdlog or fmt in it: torch's own fmt clashes with Debian's, so that files which
// see both do not compile. Known token shapes (hf_..., Bearer ...) are masked as a second net
// behind Secret.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "core/descriptor.h"
#include "core/result.h"

namespace mayfly {

enum class LogLevel { debug, info, warn, error, off };

// Sets up the log once, in main: to standard error, and to `file` if it is not empty.
// `component` is the word after the level: "agent", "train", ...
Status start_log(std::string component, LogLevel console, const std::filesystem::path& file = {});
// The same, to a file that the caller has opened for appending. A write that fails loses its line.
void start_log(std::string component, LogLevel console, Descriptor file);

void log_debug(std::string_view text);
void log_info(std::string_view text);
void log_warn(std::string_view text);
void log_error(std::string_view text);

// The text with everything that looks like a token replaced by ***.
std::string mask_tokens(std::string_view text);

}  // namespace mayfly
