// T5 and T18 with the real agent: a disk that fills up while it works, and the time from asking to
// the destroy call. What must not happen: that a disk that takes nothing more keeps the instance
// alive, or costs a checkpoint that was complete.
#include <algorithm>
#include <iostream>

#include <fcntl.h>
#include <unistd.h>

#include "core/descriptor.h"
#include "core/run/checkpoint_folder.h"
#include "core/run/request.h"
#include "tests/disk/own_mounts.h"
#include "tests/fakes/local_instance.h"

namespace mayfly {
namespace {

class FullDiskTest : public LocalInstance {
 protected:
  ~FullDiskTest() override {
    if (!id_.empty()) {
      (void)provider().terminate(id_);
      wait_until_gone();
    }
    unmount(root_ / "run");
  }
  // An ext4 of its own for the folder, or why not.
  std::string mount_image(const fs::path& folder) {
    const fs::path image = root_ / "disk.img";
    std::ofstream(image).put('\0');
    fs::resize_file(image, 160 << 20);
    const fs::path said = root_ / "tools";
    if (std::string why = run_tool({"mkfs.ext4", "-q", "-F", image.string()}, said); !why.empty()) {
      return why;
    }
    fs::create_directories(folder);
    if (std::string why = run_tool(
            {"mount", "-o", "loop,errors=remount-ro", image.string(), folder.string()}, said);
        !why.empty()) {
      return why;
    }
    const bool can_break = ::access(error_trigger(folder).c_str(), W_OK) == 0;
    return can_break ? "" : "nothing may make ext4 believe here that it is broken";
  }
  // What makes ext4 believe that it is broken.
  static fs::path error_trigger(const fs::path& folder) {
    std::ifstream mounts("/proc/self/mounts");
    for (std::string device, place, rest;
         mounts >> device >> place && std::getline(mounts, rest);) {
      if (place == folder)
        return fs::path("/sys/fs/ext4") / fs::path(device).filename() / "trigger_fs_error";
    }
    return {};
  }
  static std::string break_file_system(const fs::path& folder) {
    std::ofstream trigger(error_trigger(folder));
    trigger << "said by a test" << std::flush;
    return trigger ? "" : "cannot trigger an error of the file system";
  }
  // More epochs than there is time for.
  void train_until_first_upload() {
    start_hub();
    plan_.config.generate.vars = {{"step_ms", "40"}, {"steps_per_epoch", "20"}};
    plan_.config.train.epochs = 10'000;
    plan_.config.train.save_total_limit = 1'000;
    launch(600s);
    const RunDirectory run{plan_.run_dir};
    ASSERT_TRUE(wait_for([&] { return fs::exists(run.agent() / "uploaded/checkpoint-20"); }, 90s))
        << console();
  }
  // The machine goes by itself, from now on within a minute.
  void expect_end_without_loss() {
    const RunDirectory run{plan_.run_dir};
    const SteadyTime failed_at = clock_.steady_now();
    ASSERT_TRUE(wait_until_gone()) << console();
    EXPECT_LE(clock_.steady_now() - failed_at, 60s);
    EXPECT_EQ(processes_left(), 0);
    const std::vector<std::int64_t> steps = checkpoint_steps(run);
    ASSERT_FALSE(steps.empty());
    for (const std::int64_t step : steps) {
      EXPECT_TRUE(check_manifest(run.checkpoint(step))) << "checkpoint " << step;
    }
    // All that was complete is on the hub too: epoch ends as they came, the newest in any case.
    const std::vector<std::string> there = branches();
    for (const std::int64_t step : steps) {
      if (step % 20 != 0) continue;
      const std::string branch = "checkpoint-epoch-" + std::to_string(step / 20);
      EXPECT_NE(std::find(there.begin(), there.end(), branch), there.end()) << branch;
    }
  }
  // Takes every byte that is left, in pieces of half of what was tried last.
  void fill(const fs::path& folder) {
    const Descriptor file(
        ::open((folder / "filler").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
    ASSERT_GE(file.get(), 0);
    off_t size = 0;
    for (off_t piece = 64 << 20; piece >= 4096;) {
      if (::fallocate(file.get(), 0, size, piece) == 0) {
        size += piece;
      } else {
        piece /= 2;
      }
    }
    EXPECT_LT(fs::space(folder).available, 4096U);
  }
};

TEST_F(FullDiskTest, ADiskThatFillsUpEndsTheRunAndLosesNoCheckpoint) {
  if (const std::string why = own_mounts(); !why.empty()) GTEST_SKIP() << why;
  if (const std::string why = mount_small(root_ / "run", 160 << 20); !why.empty()) {
    GTEST_SKIP() << why;
  }
  train_until_first_upload();
  ASSERT_FALSE(HasFatalFailure());
  fill(root_ / "run");
  expect_end_without_loss();
}

// As the kernel does with a file system that it finds broken, whatever is open for writing. Nothing
// can be remembered any more; the instance goes all the same.
TEST_F(FullDiskTest, ADiskThatCanOnlyBeReadEndsTheRunAndLosesNoCheckpoint) {
  if (const std::string why = own_mounts(); !why.empty()) GTEST_SKIP() << why;
  if (const std::string why = mount_image(root_ / "run"); !why.empty()) GTEST_SKIP() << why;
  train_until_first_upload();
  ASSERT_FALSE(HasFatalFailure());
  ASSERT_EQ(break_file_system(root_ / "run"), "");
  expect_end_without_loss();
  EXPECT_NE(console().find("Read-only file system"), std::string::npos) << console();
}

// With nothing to save: at most five seconds, from the request to the provider's "terminating".
// MAYFLY_SOAK: a hundred times.
TEST_F(FullDiskTest, FromAskingToTheDestroyCallItTakesAtMostFiveSeconds) {
  const int times = std::getenv("MAYFLY_SOAK") == nullptr ? 3 : 100;
  std::chrono::milliseconds worst{0};
  for (int i = 0; i < times; ++i) {
    fs::remove_all(root_ / "run");
    plan_.config.generate.vars = {{"step_ms", "200"}, {"steps_per_epoch", "100000"}};
    launch(600s);
    const RunDirectory run{plan_.run_dir};
    ASSERT_TRUE(wait_for([&] { return fs::exists(run.events()); }, 90s)) << console();
    const SteadyTime asked = clock_.steady_now();
    ASSERT_TRUE(send_request(run, {RequestKind::down_now, "the test", clock_.now(), "", 0, {}}));
    ASSERT_TRUE(wait_for(
        [&] {
          const Result<Instance> instance = provider().get(id_);
          return instance && instance->state != InstanceState::running;
        },
        30s));
    worst = std::max(worst, std::chrono::milliseconds(clock_.steady_now() - asked));
    ASSERT_TRUE(wait_until_gone()) << console();
  }
  std::cout << "worst of " << times << ": " << worst.count() << " ms\n";
  EXPECT_LE(worst, 5s);
}

}  // namespace
}  // namespace mayfly
