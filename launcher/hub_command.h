// `launch hub`: files on a hub, without Python.
//
//   launch hub create REPO               make a repository (--private: for yourself only)
//   launch hub put REPO[@BRANCH] LOCAL [PATH]     upload a file or a folder, in one commit
//   launch hub get REPO[@REVISION] FOLDER [PATTERN...]   download
//   launch hub ls REPO[@REVISION]        list files
//   launch hub branches REPO             list branches
//
// REPO is owner/name, or datasets/owner/name.
#pragma once

#include <string>
#include <vector>

#include "core/clock.h"
#include "core/exit_code.h"
#include "core/result.h"
#include "core/store/hub_session.h"

namespace mayfly {

struct HubCommand {
  std::vector<std::string> words;  // behind `launch hub`
  bool is_private = false;         // of create
  bool json = false;
};

// Prints on standard output. Errors: usage, and those of core/store.
Result<ExitCode> hub_command(const HubCommand& command, const HubAddress& address, Clock& clock);

// The hub that holds the repository which the command names: the one of HF_ENDPOINT; for
// "local/...", or when there is no token, the stand-in on this machine; else huggingface.co.
Result<HubAddress> address_for(const HubCommand& command, Clock& clock);

}  // namespace mayfly
