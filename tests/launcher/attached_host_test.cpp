// A host that is not ours is described by a person and by itself. What must not happen: that a word
// of either becomes another address, or a GPU that is not there.
#include "launcher/attached_host.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace mayfly {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

RunConfig config_with(const std::string& host) {
  RunConfig config;
  config.instance.host = host;
  return config;
}

TEST(AttachedHostTest, ReadsTheAddressInAllItsForms) {
  EXPECT_EQ(attached_host(config_with("me@box:2222"))->address, "me@box:2222");
  EXPECT_EQ(attached_host(config_with("me@box"))->address, "me@box:22");
  RunConfig apart = config_with("box");
  apart.ssh.user = "me";
  apart.ssh.port = 2200;
  apart.ssh.key = "/k";
  EXPECT_EQ(attached_host(apart)->address, "me@box:2200");
  EXPECT_EQ(attached_host(apart)->key, "/k");
  EXPECT_THAT(attached_host(config_with("box"))->address, HasSubstr("@box:22"));
}

TEST(AttachedHostTest, RefusesTwoPortsAndNoHost) {
  RunConfig both = config_with("box:22");
  both.ssh.port = 23;
  EXPECT_EQ(attached_host(both).error().kind, ErrorKind::invalid_config);
  EXPECT_EQ(attached_host(RunConfig{}).error().kind, ErrorKind::invalid_config);
}

TEST(AttachedHostTest, TakesTheHostAtItsWord) {
  const auto facts = host_facts(
      "arch x86_64\ncpus 16\nmemory 131072000\ndisk 500000000\nruns 2\n"
      "gpu NVIDIA H100 80GB HBM3, 81559\ngpu NVIDIA H100 80GB HBM3, 81559\n",
      "me@box:22");
  ASSERT_TRUE(facts);
  EXPECT_EQ(facts->offer.provider, "attached");
  EXPECT_EQ(facts->offer.region, "me@box:22");
  EXPECT_EQ(facts->offer.gpu, "H100");
  EXPECT_EQ(facts->offer.gpu_count, 2);
  EXPECT_EQ(facts->offer.vram_gb, 85);
  EXPECT_EQ(facts->offer.vcpus, 16);
  EXPECT_EQ(facts->offer.memory_gb, 134);
  EXPECT_EQ(facts->offer.disk_gb, 512);
  EXPECT_EQ(facts->runs, 2);
  EXPECT_TRUE(facts->lacks.empty());
}

TEST(AttachedHostTest, NamesWhatItLacks) {
  const auto facts = host_facts("arch riscv64\nlacks setsid\nlacks /dev/shm\n", "me@box:22");
  ASSERT_TRUE(facts);
  EXPECT_EQ(facts->offer.gpu_count, 0);
  EXPECT_THAT(facts->lacks, ElementsAre("setsid", "/dev/shm", HasSubstr("riscv64")));
  EXPECT_EQ(host_facts("Welcome!\n", "me@box:22").error().kind, ErrorKind::refused);
}

TEST(AttachedHostTest, FindsTheLinkOfEveryKindOfRun) {
  const std::filesystem::path state =
      std::filesystem::path(testing::TempDir()) / ("attached_host_" + std::to_string(::getpid()));
  KnownRun run;
  run.run_id = "0123456789ab";
  run.address = "me@box:2222";
  run.provider = "attached";
  run.ssh_key = "/k";
  const auto attached = link_of(run, state);
  ASSERT_TRUE(attached);
  EXPECT_THAT(attached->words(), testing::Contains("IdentityFile=/k"));
  EXPECT_THAT(attached->words(), testing::Contains("HostKeyAlias=mayfly-host-box-2222"));
  run.provider = "lambda";
  const auto rented = link_of(run, state);
  ASSERT_TRUE(rented);
  EXPECT_THAT(rented->words(), testing::Contains("HostKeyAlias=mayfly-0123456789ab"));
  EXPECT_THAT(rented->words(), testing::Not(testing::Contains("IdentityFile=/k")));
  run.address = "-oProxyCommand=x@y";
  run.provider = "attached";
  EXPECT_FALSE(link_of(run, state));
  std::filesystem::remove_all(state);
}

}  // namespace
}  // namespace mayfly
