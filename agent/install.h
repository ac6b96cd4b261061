// What an instance needs beside the user-data: the watchdog's script and the units of systemd. They
// are in the agent, which was checked by its hash, and not in the user-data, which is to stay
// short.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "core/result.h"

namespace mayfly {

// The numbers of opt/mayfly/times below `root`, which the boot command wrote
// (core/run/user_data.h). Errors: not_found, corrupt.
Result<std::map<std::string, int>> read_boot_times(const std::filesystem::path& root);

// Writes opt/mayfly/watch.sh below `root`, and the units to etc/systemd/system. Errors: those of
// read_boot_times, no_space, refused.
Status install_units(const std::filesystem::path& root);

}  // namespace mayfly
