// `launch ssh`: a shell on the run's machine, or one command there.
//
// Provider local: this machine is the instance, so no SSH is needed; the shell starts in the
// instance's root folder with the environment of its processes. It carries the instance's mark like
// all of them: destroying the instance ends it, as it would end an SSH session.
//
// Elsewhere `ssh` itself is run, never with a host key that was not known before: the first
// connection is what a stranger in between waits for. Keys are in <state>/known_hosts/<run id>,
// which is written by whoever learns the key on a safe way; without that file it is refused.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/exit_code.h"
#include "core/result.h"
#include "launcher/command_line.h"
#include "launcher/desk.h"
#include "launcher/state_file.h"

namespace mayfly {

// Unit when what is `wanted` ("ask its agent") can be done with files of this machine. Error:
// unsupported, naming the provider.
Status reachable_without_ssh(const KnownRun& run, const std::string& wanted);

// The argument vector of ssh(1): our known hosts and no others, keys that are not known are
// refused, nothing is forwarded, no question is asked. `address` is user@host or user@host:port.
// Error: invalid_config (an address that ssh could take for an option, or a senseless port).
Result<std::vector<std::string>> ssh_arguments(const std::string& address,
                                               const std::filesystem::path& known_hosts,
                                               const std::vector<std::string>& command);

// Becomes the shell; returns only if it cannot. Without a command: $SHELL, else sh. Errors:
// not_found (no live machine), unsupported, refused.
Result<ExitCode> ssh_command(const CommandLine& line, Desk& desk);

}  // namespace mayfly
