// A run on a machine that is not ours. What must not happen: that anything of the machine itself is
// ended or changed, that something of the run is left there, or that it talks to another host than
// the one that was pinned.
#include <fstream>

#include <gmock/gmock.h>

#include "core/command.h"
#include "core/spawn.h"
#include "tests/clouds/loopback_sshd.h"
#include "tests/e2e_launch/launch_fixture.h"

namespace mayfly {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using testing::HasSubstr;
using testing::Not;
namespace fs = std::filesystem;

class AttachedRunTest : public LaunchTest {
 protected:
  // False: there is no sshd here.
  bool start() {
    if (!sshd_program()) return false;
    fs::create_directories(root / "host");
    fs::create_directories(root / "sshd");
    fs::create_directories(root / ".ssh");
    make_key(root / ".ssh/id_ed25519");
    make_key(root / "sshd/host_key");
    fs::copy_file(root / ".ssh/id_ed25519.pub", root / "sshd/authorized_keys");
    port_ = free_loopback_port();
    start_sshd();
    EXPECT_EQ(run("launch", "hub create local/tiny").code, 0);
    EXPECT_EQ(run("launch", "hub put local/tiny model").code, 0);
    return true;
  }
  ~AttachedRunTest() override {
    if (HasFailure()) (void)run("launch", "down --all --yes");
    if (sshd_ > 0) ::kill(sshd_, SIGKILL);
    EXPECT_EQ(processes(), 0);
  }
  void make_key(const fs::path& file) {
    fs::remove(file);
    const auto made =
        run_to_end({.argv = {"ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", file.string()},
                    .environment = {"PATH=/usr/bin:/bin"}});
    EXPECT_TRUE(made && made->code == 0);
  }
  void start_sshd() {
    const auto started =
        start_loopback_sshd({.folder = root / "sshd",
                             .host_key = root / "sshd/host_key",
                             .port = port_,
                             .session_variable = "HOME=" + (root / "host").string()});
    ASSERT_TRUE(started);
    sshd_ = *started;
    EXPECT_TRUE(wait_for(
        [&] {
          const auto log = read_file(root / "sshd/sshd.log");
          return log && log->find("Server listening") != std::string::npos;
        },
        10s));
  }
  std::string words(const std::string& more) const {
    return "run.yaml --host 127.0.0.1:" + std::to_string(port_) + " --base-model local/tiny " +
           more;
  }
  // Of runs on the host.
  int processes() const {
    int count = 0;
    for (const ProcessInfo& process : all_processes()) {
      if (!process.alive()) continue;
      const auto line = read_file("/proc/" + std::to_string(process.pid) + "/cmdline");
      if (line && line->find((root / "host/.mayfly").string()) != std::string::npos) ++count;
    }
    return count;
  }
  bool is_clean() const {
    return fs::is_empty(root / "host") && processes() == 0;
  }
  // What a person would want to read when a test fails.
  std::string consoles() const {
    std::string text;
    std::error_code code;
    for (const auto& entry : fs::recursive_directory_iterator(root / "host", code)) {
      if (entry.path().extension() != ".log") continue;
      text += "--- " + entry.path().string() + "\n" + *read_file(entry.path());
    }
    return text;
  }

  int port_ = 0;
  pid_t sshd_ = 0;
};

TEST_F(AttachedRunTest, TrainsPublishesAndLeavesTheHostAsItWas) {
  if (!start()) GTEST_SKIP() << "there is no sshd here: ./dev setup unpacks one";
  const Answer plan = run("launch", words("--dry-run"));
  ASSERT_EQ(plan.code, 0) << plan.out << plan.err;
  EXPECT_THAT(plan.out, HasSubstr("nothing is created but a folder there"));
  EXPECT_THAT(plan.out, HasSubstr("end it yourself"));
  EXPECT_TRUE(is_clean());

  std::ofstream(root / "host/theirs") << "not ours\n";
  const Answer answer = run("launch", words("--wait"));
  ASSERT_EQ(answer.code, 0) << answer.out << answer.err << consoles();
  EXPECT_THAT(answer.out, HasSubstr("the host itself goes on"));
  EXPECT_EQ(branches("local/one"),
            (std::vector<std::string>{"checkpoint-epoch-1", "checkpoint-epoch-2", "main"}));
  EXPECT_EQ(*read_file(root / "host/theirs"), "not ours\n");
  fs::remove(root / "host/theirs");
  EXPECT_TRUE(is_clean()) << consoles();
  EXPECT_EQ(::kill(sshd_, 0), 0);

  const json status = status_of("one");
  EXPECT_EQ(status["state"], "gone");
  EXPECT_EQ(status["receipt"], "confirmed");
  EXPECT_EQ(status["exit_code"], 0);
}

TEST_F(AttachedRunTest, IsLookedAtStoppedAndEndedFromTheLaptop) {
  if (!start()) GTEST_SKIP() << "there is no sshd here: ./dev setup unpacks one";
  const std::string slow = "--set generate.vars.steps_per_epoch=2000 ";
  ASSERT_EQ(run("launch", words(slow)).code, 0) << consoles();
  ASSERT_TRUE(wait_for([&] { return status_of("one")["step"].get<int>() > 2; }, 30s)) << consoles();
  const json status = status_of("one");
  EXPECT_EQ(status["state"], "training");
  EXPECT_TRUE(status["stale"].empty()) << status;
  EXPECT_THAT(run("status", "one").out, Not(HasSubstr("MISSING")));
  // The secrets are in memory, the trainer's data in the folder.
  for (const auto& entry : fs::recursive_directory_iterator(root / "host")) {
    if (!entry.is_regular_file()) continue;
    EXPECT_THAT(*read_file(entry.path()), Not(HasSubstr(hub_address().token.reveal())))
        << entry.path();
  }
  EXPECT_EQ(run("launch", "stop one").code, 0);
  ASSERT_TRUE(wait_for([&] { return status_of("one")["state"] == "gone"; }, 40s)) << consoles();
  EXPECT_TRUE(wait_for([&] { return is_clean(); }, 5s));

  ASSERT_EQ(run("launch", words(slow + "--run-name two")).code, 0) << consoles();
  EXPECT_EQ(run("launch", "reap").code, 0);
  const Answer down = run("launch", "down two --yes");
  EXPECT_EQ(down.code, 0) << down.out << down.err;
  EXPECT_THAT(down.out, HasSubstr("the host goes on"));
  EXPECT_TRUE(is_clean());
}

// As after a restart of the host: the folder is there, and none of the processes.
TEST_F(AttachedRunTest, IsNamedWhenItsProcessesAreGone) {
  if (!start()) GTEST_SKIP() << "there is no sshd here: ./dev setup unpacks one";
  ASSERT_EQ(run("launch", words("--set generate.vars.steps_per_epoch=2000")).code, 0) << consoles();
  for (int round = 0; round < 5 || processes() > 0; ++round) {
    for (const ProcessInfo& process : all_processes()) {
      const auto line = read_file("/proc/" + std::to_string(process.pid) + "/cmdline");
      if (line && line->find((root / "host/.mayfly").string()) != std::string::npos) {
        ::kill(process.pid, SIGKILL);
      }
    }
    std::this_thread::sleep_for(20ms);
  }
  EXPECT_EQ(status_of("one")["instance"]["state"], "failed");
  EXPECT_EQ(run("launch", "down one --yes").code, 0);
  EXPECT_TRUE(is_clean());
}

TEST_F(AttachedRunTest, TalksToNoOtherHostThanThePinnedOne) {
  if (!start()) GTEST_SKIP() << "there is no sshd here: ./dev setup unpacks one";
  ASSERT_EQ(run("launch", words("--dry-run")).code, 0);
  ::kill(sshd_, SIGKILL);
  (void)wait_for_exit(sshd_, 1s);
  fs::remove(root / "sshd/sshd.log");
  make_key(root / "sshd/host_key");
  start_sshd();
  const Answer other = run("launch", words("--wait"));
  EXPECT_EQ(other.code, 4) << other.out << other.err;
  EXPECT_THAT(other.err, HasSubstr("Host key verification failed"));
  EXPECT_TRUE(is_clean());
}

TEST_F(AttachedRunTest, RefusesAHostThatIsNotThereOrNotAsked) {
  EXPECT_EQ(run("launch", "run.yaml --provider attached --dry-run").code, 2);
  const Answer both = run("launch", "run.yaml --provider lambda --host box --dry-run");
  EXPECT_EQ(both.code, 2);
  EXPECT_THAT(both.err, HasSubstr("--provider attached"));
}

}  // namespace
}  // namespace mayfly
