// A trainer that silently takes the processor when a GPU was asked for runs for days and costs as
// much.
#include "trainer/device.h"

#include <dlfcn.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mayfly {
namespace {

TEST(ChooseDeviceTest, TakesTheTypeThatIsAskedFor) {
  EXPECT_EQ(choose_device(Device::cpu, true)->type, at::kBFloat16);
  EXPECT_EQ(choose_device(Device::cpu, false)->type, at::kFloat);
  const auto either = choose_device(Device::cpu, std::nullopt);
  ASSERT_TRUE(either);
  EXPECT_EQ(either->type == at::kBFloat16, __builtin_cpu_supports("avx512bf16") != 0);
  EXPECT_TRUE(either->device.is_cpu());
  EXPECT_EQ(either->name, "cpu");
}

TEST(ChooseDeviceTest, RefusesAGpuThatIsNotThere) {
  if (dlopen("libcuda.so.1", RTLD_LAZY) != nullptr) GTEST_SKIP() << "this machine has a GPU driver";
  const auto chosen = choose_device(Device::cuda, std::nullopt);
  ASSERT_FALSE(chosen);
  EXPECT_EQ(chosen.error().kind, ErrorKind::refused);
  EXPECT_THAT(chosen.error().message, testing::HasSubstr("NVIDIA driver"));
  EXPECT_TRUE(choose_device(Device::automatic, std::nullopt)->device.is_cpu());
}

}  // namespace
}  // namespace mayfly
