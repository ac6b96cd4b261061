// Which runs this machine started: one file, runs.json, written before anything is created, so that
// nothing that costs money is ever forgotten. Never holds a token.
//
// Every change is made under a lock (runs.json.lock, flock), reads the file anew, keeps the last
// state as runs.json.bak and replaces the file by rename. A damaged file is read from the .bak, and
// said so; both damaged is an error, for "no runs" would be a lie that costs money.
//
// Any number of processes may use one file. Errors: refused, no_space, corrupt, unreachable (the
// lock was held for 10 seconds).
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/clock.h"
#include "core/provider/launch_once.h"
#include "core/result.h"
#include "core/usd.h"

namespace mayfly {

// One run as the launcher knows it. What happens on the instance is in the agent's status.
struct KnownRun {
  std::string run_id;
  std::string name;
  std::string provider;
  WallTime created_at;       // of the entry
  LaunchProgress progress;   // of creating the instance
  Price price;               // of the instance, as the plan had it
  Usd spend_limit;           // with what `launch extend` added
  double extra_minutes = 0;  // that `launch extend` added to the time limit
  std::string run_dir;       // here; of a rented machine the copy that `status` reads
  std::string launcher;      // the process that makes the machine: "pid start boot"; see reap.h
  std::string address;       // user@host:port of a rented machine, once it was reached
  std::string regions;       // of AWS, with commas: where its machine may be
  std::string ssh_key;       // of an attached host: the file that opens it; "": the user's own
  std::string plan;          // path of the plan's JSON on this machine
  std::string hub_endpoint;
  std::string hub_repo;
  // Set when the provider's listing did not show the instance any more.
  std::optional<WallTime> gone_at;
  std::string stop_reason;     // "finished", "spend", ...: when known
  bool never_created = false;  // the provider refused, or the launch was given up before
};

// A run that may still have a machine.
inline bool may_be_billing(const KnownRun& run) {
  return !run.gone_at && !run.never_created;
}

class StateFile {
 public:
  explicit StateFile(std::filesystem::path path) : path_(std::move(path)) {}

  // In order of creation. No file: no runs.
  Result<std::vector<KnownRun>> runs() const;

  // Adds a run; its id and its name must be new among the runs that may be billing.
  Status add(const KnownRun& run);
  // Changes the entry of that id by `change`. Error: not_found.
  Status update(const std::string& run_id, const std::function<void(KnownRun&)>& change);

  const std::filesystem::path& path() const {
    return path_;
  }

 private:
  Status change_all(const std::function<Status(std::vector<KnownRun>&)>& change);
  std::filesystem::path path_;
};

// The newest run with that name or whose id starts with the text. Error: not_found, with the names
// there are; usage when an id's beginning fits several.
Result<KnownRun> find_run(const std::vector<KnownRun>& runs, const std::string& text);

}  // namespace mayfly
