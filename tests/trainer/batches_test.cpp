// Users of other trainers lost days to these: batches skipped in every epoch after resuming, a last
// batch that is dropped, an order that repeats in each epoch.
#include "trainer/batches.h"

#include <algorithm>
#include <set>

#include <gtest/gtest.h>

namespace mayfly {
namespace {

BatchSizes sizes(std::int64_t per_device, std::int64_t accumulation) {
  return {per_device, accumulation, per_device * accumulation};
}

TEST(BatchesTest, EveryEpochHasEveryExampleOnce) {
  for (const std::int64_t examples : {1, 5, 6, 7, 12, 13}) {
    Batches batches(examples, sizes(2, 3), 42, true);
    EXPECT_EQ(batches.steps_per_epoch(), (examples + 5) / 6);
    for (std::int64_t epoch = 0; epoch < 3; ++epoch) {
      std::vector<std::uint32_t> seen;
      for (std::int64_t i = 0; i < batches.steps_per_epoch(); ++i) {
        for (const auto& micro : batches.of_step(epoch * batches.steps_per_epoch() + i)) {
          EXPECT_LE(micro.size(), 2U);
          EXPECT_FALSE(micro.empty());
          seen.insert(seen.end(), micro.begin(), micro.end());
        }
      }
      EXPECT_EQ(seen.size(), static_cast<std::size_t>(examples));
      EXPECT_EQ(std::set(seen.begin(), seen.end()).size(), seen.size());
    }
  }
}

TEST(BatchesTest, AnyStepCanBeHadWithoutThoseBefore) {
  Batches in_order(13, sizes(2, 2), 7, true);
  for (std::int64_t step = 0; step < 12; ++step) {
    Batches afresh(13, sizes(2, 2), 7, true);
    EXPECT_EQ(in_order.of_step(step), afresh.of_step(step)) << step;
  }
}

TEST(BatchesTest, TheOrderChangesByEpochUnlessItIsTheFiles) {
  Batches shuffled(20, sizes(20, 1), 1, true);
  EXPECT_NE(shuffled.of_step(0), shuffled.of_step(1));
  Batches plain(3, sizes(2, 1), 1, false);
  EXPECT_EQ(plain.of_step(0), (std::vector<std::vector<std::uint32_t>>{{0, 1}}));
  EXPECT_EQ(plain.of_step(1), (std::vector<std::vector<std::uint32_t>>{{2}}));
  EXPECT_EQ(plain.of_step(2), plain.of_step(0));
}

TEST(BatchesTest, CountsStepsAsTransformersDoes) {
  const Batches batches(10, sizes(2, 2), 1, true);  // 3 steps an epoch
  TrainConfig train;
  const auto total = [&](double epochs) {
    train.epochs = epochs;
    return batches.total_steps(train);
  };
  EXPECT_EQ(total(1), 3);
  EXPECT_EQ(total(2), 6);
  EXPECT_EQ(total(0.5), 2);
  EXPECT_EQ(total(1.01), 4);
  EXPECT_EQ(total(0.001), 1);
  train.max_steps = 5;
  EXPECT_EQ(total(100), 5);
}

}  // namespace
}  // namespace mayfly
