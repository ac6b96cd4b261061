// The folder of a made-up local instance with the real scripts of cloud-init/ in it, run by the
// real sh. The host program, the agent and the wall clock are stand-ins that note what they were
// asked.
#pragma once

#include <chrono>
#include <csignal>
#include <string>
#include <thread>

#include "cloud_init.h"
#include "core/atomic_file.h"
#include "core/process_table.h"
#include "core/run/user_data.h"
#include "core/spawn.h"
#include "tests/fakes/temporary_folder.h"

namespace mayfly {

class InstanceRoot : public TemporaryFolder {
 protected:
  InstanceRoot() {
    put("opt/mayfly/fuse.sh", without_comments(kFuseScript));
    put("opt/mayfly/watch.sh", without_comments(kWatchScript));
    put("run/mayfly/.keep", "");
    put("var/lib/mayfly/.keep", "");
    program("opt/mayfly/bin/agent", "echo \"agent $*\" >> \"$MAYFLY_ROOT/asked\"");
    // The end of the instance: every process of its group dies, the asking one too.
    program("host", "echo \"$*\" >> \"$MAYFLY_ROOT/asked\"; kill -9 0");
    times("FUSE=1000 BEHIND=300 START=500 TICK=1 AGAIN=1 LOOK=1 SILENT=5 LATE=120 RESCUE=5");
  }
  ~InstanceRoot() override {
    if (group_ > 0) ::kill(-group_, SIGKILL);
  }

  void program(const std::string& name, const std::string& body) {
    std::filesystem::permissions(put(name, "#!/bin/sh\n" + body + "\n"),
                                 std::filesystem::perms::owner_all);
  }
  void times(const std::string& text) {
    put("opt/mayfly/times", text + "\n");
  }

  // `script` with `words`; its output. Nothing it starts outlives the test. Code -1: still running
  // after `limit`.
  struct Ran {
    int code = 0;
    std::string output;
  };
  Ran run(const std::string& script, std::vector<std::string> words,
          std::chrono::milliseconds limit = std::chrono::seconds(20)) {
    std::error_code ignored;
    const auto output = folder_ / "output";
    std::filesystem::remove(output, ignored);
    SpawnSpec spec;
    spec.argv = {"/bin/sh", (folder_ / "opt/mayfly" / script).string()};
    spec.argv.insert(spec.argv.end(), words.begin(), words.end());
    spec.environment = {"PATH=" + (folder_ / "stubs").string() + ":/usr/bin:/bin",
                        "MAYFLY_ROOT=" + folder_.string(),
                        "MAYFLY_HOST_PROGRAM=" + (folder_ / "host").string(),
                        "MAYFLY_INSTANCE_DIR=" + folder_.string()};
    spec.output = output;
    spec.own_session = true;
    const Result<pid_t> child = spawn(spec);
    if (!child) return {-2, child.error().message};
    group_ = *child;
    const Result<int> code = wait_for_exit(*child, limit);
    const Result<std::string> text = read_file(output);
    return {code ? *code : -1, text ? *text : ""};
  }

  long left() {
    const Ran ran = run("fuse.sh", {"left"});
    EXPECT_EQ(ran.code, 0) << ran.output;
    return std::atol(ran.output.c_str());
  }
  std::string asked() const {
    const Result<std::string> text = read_file(folder_ / "asked");
    return text ? *text : "";
  }
  static long up() {
    return std::atol(read_file("/proc/uptime")->c_str());
  }
  // A `date` that says `seconds` since 1970.
  void wall_clock(long seconds) {
    program("stubs/date", "echo " + std::to_string(seconds));
  }
  void life(const std::string& boot, long uptime, long lived, long wall) {
    const std::string line = boot + " " + std::to_string(uptime) + " " + std::to_string(lived) +
                             " " + std::to_string(wall) + "\n";
    put("opt/mayfly/life", line);
  }
  void ready() {
    put("run/mayfly/ready", std::to_string(up()) + "\n");
  }

  pid_t group_ = 0;
};

}  // namespace mayfly
