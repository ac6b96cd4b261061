// The loss and the gradient that replaces the logits, against the reference in double: rows of one
// logit, prime ones, real vocabularies, every option and all of them together, masked logits, rows
// without a label, targets that are none. And the gradient against the slope.
#include "cuda/cross_entropy.h"

#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include "tests/cuda/arrays.h"
#include "tests/cuda/device_array.h"

namespace mayfly::cuda {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// Rows whose targets are spread, the first, the last, and every fourth without a label.
std::vector<std::int64_t> some_targets(const CrossEntropyForm& form) {
  std::vector<std::int64_t> targets;
  for (std::int64_t row = 0; row < form.rows; ++row) {
    targets.push_back(row % 4 == 3 ? -100 : row == 0 ? form.cols - 1 : 37 * (row - 1) % form.cols);
  }
  return targets;
}

template <class T>
void check(CrossEntropyForm form, std::size_t offset = 0) {
  form.stride = form.cols;
  SCOPED_TRACE(testing::Message() << type_name<T>() << " " << form.rows << " x " << form.cols
                                  << " smoothing " << form.label_smoothing << " z " << form.z_loss
                                  << " cap " << form.soft_cap << " offset " << offset);
  const auto count = static_cast<std::size_t>(form.rows * form.cols);
  const auto logits = random_numbers<T>(count, 1, 3.0f);
  const auto targets = some_targets(form);
  const auto there = placed(logits, offset);
  DeviceArray<std::int64_t> targets_there(targets);
  DeviceArray<float> loss(targets.size());
  ASSERT_EQ(cross_entropy(loss.data(), there.data() + offset, targets_there.data(), form, nullptr),
            kSuccess);
  std::vector<double> loss_want(targets.size()), gradient(count);
  cross_entropy_reference(loss_want.data(), gradient.data(), logits.data(), targets.data(), form);
  // Of float: the exponentials' sum relative 1e-6, so lse absolute; z-loss multiplies by lse.
  EXPECT_LE(excess(loss.read(), loss_want, 0.0, 1e-5), 1.0);
  EXPECT_LE(excess(without(offset, there.read()), gradient, 1.1, 3e-6 * form.scale), 1.0);
}

TEST(CrossEntropyTest, AgreesWithTheReferenceInEveryShape) {
  // One logit, prime, both sides of a pack and of what a block takes at once (4096 bf16).
  for (const std::int64_t cols : {1, 2, 7, 8, 9, 997, 4096, 4104, 4097}) {
    check<Bf16>({.rows = 5, .cols = cols, .scale = 0.25f});
  }
  check<Fp16>({.rows = 5, .cols = 1000});
  check<float>({.rows = 5, .cols = 2052, .scale = 2.0f});
  check<float>({.rows = 5, .cols = 2051});
}

TEST(CrossEntropyTest, AgreesForTheVocabulariesOfRealModels) {
  for (const std::int64_t cols : {49152, 50257, 128256, 152064}) {
    check<Bf16>({.rows = 1, .cols = cols});
  }
}

TEST(CrossEntropyTest, AgreesWithEveryOption) {
  for (const std::int64_t cols : {33, 512}) {
    check<float>({.rows = 5, .cols = cols, .label_smoothing = 0.1f});
    check<float>({.rows = 5, .cols = cols, .z_loss = 1e-2f});
    check<float>({.rows = 5, .cols = cols, .soft_cap = 5.0f});
    check<Bf16>({.rows = 5,
                 .cols = cols,
                 .label_smoothing = 0.1f,
                 .z_loss = 1e-4f,
                 .soft_cap = 30.0f,
                 .scale = 0.5f});
  }
}

TEST(CrossEntropyTest, TakesAddressesThatAreNotAligned) {
  check<Bf16>({.rows = 5, .cols = 64}, 3);
}

TEST(CrossEntropyTest, GivesTheLossAloneAndLeavesTheLogits) {
  const CrossEntropyForm form{.rows = 2, .cols = 100, .stride = 100, .gradient = false};
  const auto logits = random_numbers<float>(200, 1);
  DeviceArray<float> there(logits), loss(2);
  DeviceArray<std::int64_t> targets(std::vector<std::int64_t>{5, 99});
  ASSERT_EQ(cross_entropy(loss.data(), there.data(), targets.data(), form, nullptr), kSuccess);
  EXPECT_EQ(there.read(), logits);
  EXPECT_GT(loss.read()[1], 0.0f);
}

TEST(CrossEntropyTest, TakesMaskedLogitsAndLargeOnes) {
  std::vector<float> logits(3 * 64, -kInfinity);
  logits[3] = 2.0f;        // one logit that counts
  logits[64 + 1] = 1e30f;  // one that outweighs all
  logits[64 + 2] = -1e30f;
  for (std::size_t i = 0; i < 64; ++i) logits[128 + i] = 80000.0f;  // exp overflows without the max
  DeviceArray<float> there(logits), loss(3);
  DeviceArray<std::int64_t> targets(std::vector<std::int64_t>{3, 1, 0});
  const CrossEntropyForm form{.rows = 3, .cols = 64, .stride = 64};
  ASSERT_EQ(cross_entropy(loss.data(), there.data(), targets.data(), form, nullptr), kSuccess);
  EXPECT_EQ(loss.read()[0], 0.0f);
  EXPECT_EQ(loss.read()[1], 0.0f);
  EXPECT_NEAR(loss.read()[2], std::log(64.0f), 1e-2);  // a float of 80000 has steps of 1/128
  const std::vector<float> gradient = there.read();
  EXPECT_EQ(gradient[3], 0.0f);
  EXPECT_EQ(gradient[4], 0.0f);
  EXPECT_NEAR(gradient[129], 1.0f / 64, 2e-4);
}

TEST(CrossEntropyTest, ShowsATargetThatIsNoToken) {
  DeviceArray<float> logits(random_numbers<float>(32, 1)), loss(2);
  DeviceArray<std::int64_t> targets(std::vector<std::int64_t>{16, -1});
  const CrossEntropyForm form{.rows = 2, .cols = 16, .stride = 16};
  ASSERT_EQ(cross_entropy(loss.data(), logits.data(), targets.data(), form, nullptr), kSuccess);
  EXPECT_TRUE(std::isnan(loss.read()[0]));
  EXPECT_EQ(loss.read()[1], 0.0f);
  for (std::size_t c = 16; c < 32; ++c) EXPECT_EQ(logits.read()[c], 0.0f);
}

TEST(CrossEntropyTest, GradientIsTheSlope) {
  const CrossEntropyForm form{.rows = 1,
                              .cols = 20,
                              .stride = 20,
                              .label_smoothing = 0.1f,
                              .z_loss = 1e-2f,
                              .soft_cap = 4.0f};
  const auto logits = random_numbers<float>(20, 1, 2.0f);
  const std::vector<std::int64_t> targets = {7};
  DeviceArray<float> there(logits), loss(1);
  DeviceArray<std::int64_t> targets_there(targets);
  cross_entropy(loss.data(), there.data(), targets_there.data(), form, nullptr);
  for (std::size_t i = 0; i < 20; ++i) {
    auto above = logits, below = logits;
    above[i] += 1.0f / 256;
    below[i] -= 1.0f / 256;
    double high = 0.0, low = 0.0;
    cross_entropy_reference(&high, nullptr, above.data(), targets.data(), form);
    cross_entropy_reference(&low, nullptr, below.data(), targets.data(), form);
    EXPECT_NEAR(there.read()[i], (high - low) / (static_cast<double>(above[i]) - below[i]), 1e-5);
  }
}

}  // namespace
}  // namespace mayfly::cuda
