// `--gpu h100` must find the same cards with every vendor, and no other ones.
#include "core/provider/gpu_name.h"

#include <gtest/gtest.h>

namespace mayfly {
namespace {

TEST(GpuNameTest, TakesEverySpellingOfOneCard) {
  for (const char* name : {"H100", "h100", "NVIDIA H100 80GB HBM3", "H100 (80 GB SXM5)",
                           "H100_sxm5", "NVIDIA H100 PCIe"}) {
    EXPECT_EQ(gpu_model(name), "H100") << name;
  }
  for (const char* name : {"RTX4090", "rtx 4090", "NVIDIA GeForce RTX 4090", "RTX_4090"}) {
    EXPECT_EQ(gpu_model(name), "RTX4090") << name;
  }
  for (const char* name : {"A6000", "RTX A6000", "NVIDIA RTX A6000", "RTXA6000"}) {
    EXPECT_EQ(gpu_model(name), "A6000") << name;
  }
}

TEST(GpuNameTest, TellsNeighboursApart) {
  EXPECT_EQ(gpu_model("NVIDIA A10G"), "A10G");
  EXPECT_EQ(gpu_model("NVIDIA A10"), "A10");
  EXPECT_EQ(gpu_model("NVIDIA A100-SXM4-80GB"), "A100");
  EXPECT_EQ(gpu_model("GH200 480GB"), "GH200");
  EXPECT_EQ(gpu_model("H200"), "H200");
  EXPECT_EQ(gpu_model("L40S"), "L40S");
  EXPECT_EQ(gpu_model("L40"), "L40");
  EXPECT_EQ(gpu_model("RTX 4080 SUPER"), "RTX4080SUPER");
  EXPECT_EQ(gpu_model("RTX 3080 Ti"), "RTX3080TI");
  EXPECT_EQ(gpu_model("NVIDIA RTX 6000 Ada Generation"), "RTX6000ADA");
  EXPECT_EQ(gpu_model("Quadro RTX 6000"), "RTX6000");
}

TEST(GpuNameTest, KeepsWhatItDoesNotKnow) {
  EXPECT_EQ(gpu_model("NVIDIA Z9000"), "Z9000");
  EXPECT_EQ(gpu_model(""), "");
  EXPECT_EQ(gpu_model("  -- "), "");
}

TEST(GpuNameTest, ReadsTheMemory) {
  EXPECT_EQ(memory_in_name_gb("H100 (80 GB SXM5)"), 80);
  EXPECT_EQ(memory_in_name_gb("NVIDIA H100 80GB HBM3"), 80);
  EXPECT_EQ(memory_in_name_gb("NVIDIA A100-SXM4-40GB"), 40);
  EXPECT_EQ(memory_in_name_gb("A10"), 0);
  EXPECT_EQ(memory_in_name_gb("GB"), 0);
  EXPECT_EQ(memory_in_name_gb("99999999999999999999 GB"), 0);
}

}  // namespace
}  // namespace mayfly
