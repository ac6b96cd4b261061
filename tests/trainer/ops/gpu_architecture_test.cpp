#include "trainer/ops/gpu_architecture.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mayfly {
namespace {

constexpr const char* kBuilt = "75-real 80-real 86-real 89-real 90-real 100-real 120";

TEST(GpuArchitectureTest, RunsWhatThereIsCodeFor) {
  for (const ComputeCapability gpu : {ComputeCapability{7, 5},
                                      {8, 0},
                                      {8, 6},
                                      {8, 7},
                                      {8, 9},
                                      {9, 0},
                                      {10, 0},
                                      {10, 3},
                                      {12, 0},
                                      {12, 1},
                                      {13, 0}}) {
    EXPECT_EQ(architecture_obstacle(gpu, kBuilt), "") << gpu.major << "." << gpu.minor;
  }
}

TEST(GpuArchitectureTest, RefusesTheRestInOneSentence) {
  EXPECT_EQ(architecture_obstacle({7, 0}, kBuilt),
            "the GPU has compute capability 7.0, and this build has code for 7.5, 8.0, 8.6, 8.9, "
            "9.0, 10.0, 12.0");
  // Code of one generation does not run on another, and PTX not on an older one.
  EXPECT_NE(architecture_obstacle({11, 0}, kBuilt), "");
  EXPECT_NE(architecture_obstacle({8, 0}, "86-real"), "");
  EXPECT_NE(architecture_obstacle({9, 0}, "80-real 86-real"), "");
  EXPECT_EQ(architecture_obstacle({9, 0}, "80-virtual"), "");
  EXPECT_NE(architecture_obstacle({8, 0}, "90-virtual"), "");
}

}  // namespace
}  // namespace mayfly
