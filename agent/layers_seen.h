// Which of the layers below the agent are at work on this instance, as far as the agent can see:
// files that the fuse and the watchdog write (cloud-init/), and on provider `local`, where they are
// processes of the instance, those processes. Reads, changes nothing.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/run/layer.h"

namespace mayfly {

// What is looked at, so that a test can put it together.
struct LayerEvidence {
  std::filesystem::path root;         // MAYFLY_ROOT; "/" on a rented machine
  bool local = false;                 // the scripts are processes of the instance
  std::vector<std::string> commands;  // of the instance's processes: "sh /.../fuse.sh wait"
  bool supervised = false;            // systemd watches this process (NOTIFY_SOCKET)
  std::string boot_id;
  long long uptime_seconds = 0;
};

// Looks at this process and this machine.
LayerEvidence layer_evidence();

// `planned`, with what is seen of L1 to L5.
std::vector<Layer> layers_seen(std::vector<Layer> planned, const LayerEvidence& evidence);

}  // namespace mayfly
