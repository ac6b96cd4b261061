// A kernel bound by memory is as good as the bytes it moves. Here they are counted, in sectors of
// 32 bytes, against what cannot be avoided; a kernel that loses coalescing or reads twice fails.
#include <gtest/gtest.h>

#include "tests/cuda/cases/kernel_case.h"
#include "tests/cuda/emulator/traffic.h"

namespace mayfly::cuda {
namespace {

TEST(BytesTest, EveryKernelMovesLittleMoreThanItMust) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "counted without sanitizers: the count is the same and takes two minutes here";
#endif
  for (const KernelCase& one : kernel_cases(Size::rows)) {
    SCOPED_TRACE(one.kernel + " " + one.type + " " + one.shape);
    emulator::start_traffic();
    ASSERT_EQ(one.launch(nullptr), kSuccess);
    const emulator::Traffic traffic = emulator::stop_traffic();
    const double distinct = static_cast<double>(traffic.distinct) / one.least_bytes;
    const double sectors = static_cast<double>(traffic.sectors) / one.least_traffic;
    EXPECT_EQ(traffic.launches, 1u);
    EXPECT_LE(distinct, 1.05);
    EXPECT_GE(distinct, 0.99);  // else the least is not the least
    EXPECT_LE(sectors, 1.30);
    RecordProperty(one.kernel + "." + one.type + ".distinct", std::to_string(distinct));
    RecordProperty(one.kernel + "." + one.type + ".sectors", std::to_string(sectors));
  }
}

}  // namespace
}  // namespace mayfly::cuda
