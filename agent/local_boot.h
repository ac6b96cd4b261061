// The first process of a local instance: executes the user-data as cloud-init does on a rented
// machine, then stays and reaps, as the first process of a machine does.
//
// Of cloud-config it knows bootcmd, write_files and runcmd, in that order; anything else is
// refused, not skipped. Paths of write_files are below the instance's root folder; commands find
// that folder in MAYFLY_ROOT. A command that fails is noted on the console and the start-up goes
// on, as cloud-init does: that is why the fuse is armed first.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/result.h"

namespace mayfly {

struct CloudFile {
  std::string path;  // absolute, on the instance
  std::string content;
  unsigned mode = 0644;
};
struct CloudConfig {
  std::vector<std::vector<std::string>> boot_commands;
  std::vector<CloudFile> files;
  std::vector<std::vector<std::string>> run_commands;
};

// Error: invalid_config, naming the key.
Result<CloudConfig> parse_cloud_config(const std::string& text);

// Runs the instance in `folder`; returns only if it cannot start or has been ended.
Status boot_local_instance(const std::filesystem::path& folder);

}  // namespace mayfly
