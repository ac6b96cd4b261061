// What every command works with: the list of runs, the clock, the terminals, the flags they share.
#pragma once

#include <filesystem>
#include <memory>
#include <string_view>

#include "core/clock.h"
#include "core/provider/provider.h"
#include "core/result.h"
#include "core/terminal.h"
#include "launcher/command_line.h"
#include "launcher/state_file.h"

namespace mayfly {

struct Desk {
  CommonFlags flags;
  std::filesystem::path state_dir;
  StateFile state;
  Clock& clock;
  Terminal out;  // standard output
  Terminal err;  // standard error
};

// Starts the log as the flags say. The clock outlives the desk. Error: refused (the log file).
Result<Desk> open_desk(const CommonFlags& flags, std::string_view program, Clock& clock);

// The provider of a run; `price` matters only for what it is about to create. A cloud's key comes
// from the environment (cloud_access.h), attached hosts from the list of runs (attached_host.h).
Result<std::unique_ptr<Provider>> provider_of(const Desk& desk, std::string_view name,
                                              const Price& price = {});

// Prints on standard output.
void print(std::string_view text);
// A note for people on standard error: nothing with --quiet or --json.
void note(const Desk& desk, std::string_view text);

}  // namespace mayfly
