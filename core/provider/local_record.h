// What is known of one local instance: its folder, and instance.json in it.
//
//   <state>/local/<id>/
//   |-- instance.json    this record, replaced as a whole under the lock
//   |-- user-data.yaml   as the instance got it
//   |-- console.log      output of the start-up
//   `-- root/            what would be / on a machine of its own
//
// The launcher writes it when it creates the instance, the boot process when it runs, the back
// office when it ends. Each change is made under a file lock, so that none is lost.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/process_table.h"
#include "core/provider/provider.h"
#include "core/result.h"

namespace mayfly {

// The first process of the instance; all others belong to its session.
struct LocalSession {
  pid_t leader = 0;
  unsigned long long start_ticks = 0;
  std::string boot_id;
};

struct LocalRecord {
  Instance instance;  // address: the folder
  int attempt = 1;
  std::string secrets_folder;  // in memory, outside the instance's folder; "" when removed
  std::optional<LocalSession> session;
  std::string end_reason;  // who ended it, when it is terminating or gone
};

// The name of the variable that every process of an instance has in its environment.
constexpr std::string_view kInstanceVariable = "MAYFLY_INSTANCE_ID";

// Errors: not_found, corrupt.
Result<LocalRecord> read_local_record(const std::filesystem::path& folder);
// Reads, lets `change` alter it, writes, under the lock; returns what was written. The first write
// of a record too (then `change` starts from an empty one). Errors: corrupt, no_space, refused.
Result<LocalRecord> change_local_record(const std::filesystem::path& folder,
                                        const std::function<void(LocalRecord&)>& change);

// The processes of the instance that are alive: those of its session, and those that left the
// session but carry the instance's id in their environment. Never the calling process.
std::vector<ProcessInfo> processes_of(const LocalRecord& record);

}  // namespace mayfly
