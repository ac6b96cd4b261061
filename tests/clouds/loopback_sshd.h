// A real sshd on loopback, of this system or unpacked by set-up. It wants a user of its own when it
// is root, and a folder; a mount namespace gives it both without anything being changed here.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include <sys/types.h>

#include "core/result.h"

namespace mayfly {

// The program; nullopt: there is none here.
std::optional<std::string> sshd_program();
int free_loopback_port();

struct LoopbackSshd {
  std::filesystem::path folder;    // its configuration and log; authorized_keys are there
  std::filesystem::path host_key;  // ed25519
  int port = 0;
  std::string session_variable;  // NAME=value, of every session; "": none
};
// The leader of its session; its children are sessions' own processes.
Result<pid_t> start_loopback_sshd(const LoopbackSshd& sshd);

}  // namespace mayfly
