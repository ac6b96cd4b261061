// Gigabytes come from a server that nobody here controls onto a machine that is paid by the minute,
// and become code that runs. Real HTTP on this machine, small wheels, a clock that only tests move.
#include "agent/runtime_install.h"

#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "agent/wheel_download.h"
#include "core/atomic_file.h"
#include "core/http/curl_client.h"
#include "tests/fakes/fake_clock.h"
#include "tests/fakes/temporary_folder.h"
#include "tests/fakes/wheel_server.h"

namespace mayfly {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

std::string noise(std::size_t size, unsigned seed) {
  std::mt19937 random(seed);
  std::string text(size, '\0');
  for (char& c : text) c = static_cast<char>(random());
  return text;
}

class RuntimeInstallTest : public TemporaryFolder {
 protected:
  RuntimeInstallTest() {
    wheels_ = {server_.add("torch", {{"torch/lib/libc10.so", noise(400'000, 1)},
                                     {"torch/lib/libtorch_cpu.so", noise(70'000, 2)},
                                     {"torch/include/ATen.h", "not wanted"}}),
               server_.add("cudart", {{"nvidia/cu13/lib/libcudart.so.13", noise(9'000, 3)}})};
    wheels_[0].files.pop_back();
  }
  Status install() {
    return install_runtime(wheels_,
                           {http_, clock_, place_, [this](const fs::path&) { return free_; }},
                           [this](const std::string& what, std::int64_t bytes) {
                             told_ = what;
                             bytes_ = std::max(bytes_, bytes);
                           });
  }
  // Nothing was made that a trainer could start with.
  void expect_nothing() const {
    EXPECT_FALSE(fs::exists(place_));
  }
  std::string installed(const std::string& name) const {
    const auto text = read_file(place_ / name);
    return text ? *text : "";
  }

  WheelServer server_;
  CurlHttpClient http_;
  FakeClock clock_;
  fs::path place_ = folder_ / "runtime";
  std::int64_t free_ = std::int64_t{1} << 40;
  std::vector<PlannedWheel> wheels_;
  std::string told_;
  std::int64_t bytes_ = 0;
};

TEST_F(RuntimeInstallTest, PutsTheFilesThatArePromisedAndNoOthers) {
  const Status done = install();
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_EQ(installed("torch/lib/libc10.so"), noise(400'000, 1));
  EXPECT_EQ(installed("torch/lib/libtorch_cpu.so"), noise(70'000, 2));
  EXPECT_EQ(installed("nvidia/cu13/lib/libcudart.so.13"), noise(9'000, 3));
  EXPECT_FALSE(fs::exists(place_ / "torch/include"));
  EXPECT_EQ(bytes_, download_bytes(wheels_) + unpacked_bytes(wheels_));
  EXPECT_EQ(told_, "libraries, cudart (2 of 2), 100%");
  // The wheels themselves are gone.
  EXPECT_FALSE(fs::exists(folder_ / "runtime.marks"));
  EXPECT_FALSE(fs::exists(folder_ / "runtime.new"));
}

TEST_F(RuntimeInstallTest, IsReadableByTheTrainersUserWhateverTheMaskIs) {
  const mode_t before = ::umask(077);
  const Status done = install();
  ::umask(before);
  ASSERT_TRUE(done);
  for (const char* name : {"", "torch", "torch/lib", "nvidia/cu13/lib"}) {
    EXPECT_EQ(fs::status(place_ / name).permissions(), fs::perms(0755)) << name;
  }
  EXPECT_EQ(fs::status(place_ / "torch/lib/libc10.so").permissions(), fs::perms(0644));
}

TEST_F(RuntimeInstallTest, AsksNobodyWhenItIsThere) {
  ASSERT_TRUE(install());
  const std::size_t asked = server_.asked().size();
  ASSERT_TRUE(install());
  EXPECT_EQ(server_.asked().size(), asked);
  // Another list is another runtime.
  wheels_.pop_back();
  ASSERT_TRUE(install());
  EXPECT_FALSE(fs::exists(place_ / "nvidia"));
  EXPECT_GT(server_.asked().size(), asked);
}

TEST_F(RuntimeInstallTest, GoesOnWhereAConnectionBrokeOff) {
  server_.fail("torch", {{.cut_after = 100'000}, {.status = 503}, {.cut_after = 50'000}});
  const Status done = install();
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_THAT(server_.asked(), ElementsAre("torch", "torch from 100000", "torch from 100000",
                                           "torch from 150000", "cudart"));
  EXPECT_EQ(installed("torch/lib/libc10.so"), noise(400'000, 1));
}

TEST_F(RuntimeInstallTest, GoesOnAfterALifeThatWasCutOff) {
  server_.fail("cudart", {{.status = 404}});
  ASSERT_FALSE(install());
  expect_nothing();
  ASSERT_TRUE(fs::exists(folder_ / "runtime.new/torch/lib/libc10.so"));
  // The damaged start of a wheel, and half a file of it.
  ASSERT_TRUE(write_file(folder_ / "runtime.marks" / (wheels_[1].sha256 + ".whl"), "XX"));
  fs::create_directories(folder_ / "runtime.new/nvidia/cu13/lib");
  ASSERT_TRUE(write_file(folder_ / "runtime.new/nvidia/cu13/lib/libcudart.so.13", "half"));
  const Status done = install();
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_THAT(server_.asked(), ElementsAre("torch", "cudart", "cudart from 2", "cudart"));
  EXPECT_EQ(installed("nvidia/cu13/lib/libcudart.so.13"), noise(9'000, 3));
}

TEST_F(RuntimeInstallTest, TakesNoWheelWithAnotherHash) {
  const std::string evil = noise(static_cast<std::size_t>(wheels_[1].bytes), 4);
  server_.fail("cudart", {{.instead = evil}, {.instead = evil}, {.instead = evil}});
  const Status done = install();
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().kind, ErrorKind::corrupt);
  EXPECT_THAT(done.error().message, HasSubstr("downloading cudart"));
  EXPECT_THAT(done.error().message, HasSubstr("does not have the SHA-256 of the plan"));
  expect_nothing();
  // Once may happen.
  server_.fail("cudart", {{.instead = evil}});
  EXPECT_TRUE(install());
}

TEST_F(RuntimeInstallTest, TakesNoWheelThatIsTooShortOrTooLong) {
  const std::string whole = noise(9'000, 5);
  server_.fail("torch", std::vector<WheelServer::Fault>(1000, {.instead = whole}));
  const Status done = install();
  ASSERT_FALSE(done);
  EXPECT_THAT(done.error().message, HasSubstr("downloading torch"));
  // Tried for as long as one waits for a server that brings nothing, not for ever.
  EXPECT_GE(clock_.elapsed, kWheelPatience);
  EXPECT_LT(clock_.elapsed, 3 * kWheelPatience);
  server_.fail("torch", std::vector<WheelServer::Fault>(1000, {.instead = noise(600'000, 6)}));
  const Status long_one = install();
  ASSERT_FALSE(long_one);
  EXPECT_EQ(long_one.error().kind, ErrorKind::corrupt);
  expect_nothing();
}

TEST_F(RuntimeInstallTest, EndsWithAServerThatRefuses) {
  for (const auto& [status, kind] : {std::pair{404, ErrorKind::not_found},
                                     {403, ErrorKind::refused},
                                     {410, ErrorKind::not_found}}) {
    server_.fail("torch", {{.status = status}});
    const Status done = install();
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().kind, kind);
    EXPECT_THAT(done.error().message, HasSubstr("status " + std::to_string(status)));
    EXPECT_EQ(clock_.elapsed.count(), 0);  // at once
  }
  expect_nothing();
}

TEST_F(RuntimeInstallTest, WaitsForABusyServerAndNotForEver) {
  server_.fail("torch", std::vector<WheelServer::Fault>(1000, {.status = 503}));
  const Status done = install();
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().kind, ErrorKind::unreachable);
  EXPECT_THAT(done.error().message, HasSubstr("status 503"));
  EXPECT_GE(clock_.elapsed, kWheelPatience);
  EXPECT_LT(clock_.elapsed, 2 * kWheelPatience);
}

TEST_F(RuntimeInstallTest, FetchesNothingOntoADiskThatIsTooSmall) {
  free_ = disk_bytes(wheels_) + 500'000'000 - 1;
  const Status done = install();
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().kind, ErrorKind::no_space);
  EXPECT_THAT(done.error().message, HasSubstr("of disk at " + folder_.string()));
  EXPECT_TRUE(server_.asked().empty());
  expect_nothing();
  free_ += 1;
  EXPECT_TRUE(install());
}

TEST_F(RuntimeInstallTest, RefusesNamesThatLeadElsewhereAndAddressesThatAreOpen) {
  const auto good = wheels_;
  wheels_[1].files[0].name = "../outside";
  EXPECT_EQ(install().error().kind, ErrorKind::refused);
  wheels_ = good;
  wheels_[1].sha256 = "../../x";
  EXPECT_EQ(install().error().kind, ErrorKind::refused);
  EXPECT_TRUE(server_.asked().empty());
  wheels_ = good;
  wheels_[0].url = "http://example.org/torch";
  const Status done = install();
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().kind, ErrorKind::refused);
  EXPECT_THAT(done.error().message, HasSubstr("not an https address"));
}

TEST_F(RuntimeInstallTest, RefusesAWheelThatLacksWhatIsPromised) {
  wheels_[1].files.push_back({"nvidia/cu13/lib/libnone.so", 1});
  const Status done = install();
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().kind, ErrorKind::corrupt);
  EXPECT_THAT(done.error().message, HasSubstr("libnone.so is not in it as the plan says"));
  wheels_[1].files.pop_back();
  wheels_[1].files[0].bytes += 1;
  EXPECT_EQ(install().error().kind, ErrorKind::corrupt);
  expect_nothing();
}

TEST_F(RuntimeInstallTest, BringsNothingToATrainerThatHasItsLibraries) {
  const RuntimeInstall to{http_, clock_, place_, [](const fs::path&) { return std::int64_t{0}; }};
  const fs::path trainer = fs::path(MAYFLY_BINARY_DIR) / "fake_trainer";
  const auto ignore = [](const std::string&, std::int64_t) {};
  EXPECT_TRUE(bring_libraries(trainer, wheels_, to, ignore));
  EXPECT_TRUE(bring_libraries(folder_ / "none", {}, to, ignore));
  EXPECT_EQ(bring_libraries(folder_ / "none", wheels_, to, ignore).error().kind,
            ErrorKind::not_found);
  EXPECT_TRUE(server_.asked().empty());
}

}  // namespace
}  // namespace mayfly
