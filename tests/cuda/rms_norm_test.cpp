// Runs the kernel's own source, block by block, on the host emulator.
#include "cuda/rms_norm.h"

#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace mayfly::cuda {
namespace {

struct Shape {
  int rows, cols;
};

class RmsNormTest : public testing::TestWithParam<Shape> {};

TEST_P(RmsNormTest, AgreesWithTheReference) {
  const auto [rows, cols] = GetParam();
  const auto size = static_cast<std::size_t>(rows * cols);
  std::mt19937 random(1);
  std::uniform_real_distribution<float> uniform(-1.0f, 1.0f);
  std::vector<float> x(size), weight(static_cast<std::size_t>(cols));
  for (float& value : x) value = uniform(random);
  for (float& value : weight) value = uniform(random);

  std::vector<float> y(size, NAN), y_want(size);
  std::vector<float> inv_rms(static_cast<std::size_t>(rows), NAN), inv_rms_want(inv_rms.size());
  ASSERT_EQ(rms_norm(y.data(), inv_rms.data(), x.data(), weight.data(), rows, cols, 1e-6f, nullptr),
            cudaSuccess);
  rms_norm_reference(y_want.data(), inv_rms_want.data(), x.data(), weight.data(), rows, cols,
                     1e-6f);

  // One rounding of the sum, one of the square root, two of the products: a few units in 2^-23.
  for (std::size_t i = 0; i < size; ++i) EXPECT_NEAR(y[i], y_want[i], 1e-6f) << "element " << i;
}

// A row shorter than a warp, one not a multiple of it, one wider than the block, and no rows.
INSTANTIATE_TEST_SUITE_P(Shapes, RmsNormTest,
                         testing::Values(Shape{3, 1}, Shape{3, 31}, Shape{2, 257}, Shape{1, 4096},
                                         Shape{0, 64}));

}  // namespace
}  // namespace mayfly::cuda
