// train.auto_batch rests on this: too many at once end a run that is paid for.
#include "trainer/memory_forecast.h"

#include <gtest/gtest.h>

#include "tests/trainer/tiny_llama.h"

namespace mayfly {
namespace {

class AutoBatchTest : public testing::Test {
 protected:
  AutoBatchTest() {
    plan_.config.train.auto_batch = true;
    plan_.config.train.effective_batch_size = 12;
    for (std::uint32_t row = 0; row < 40; ++row) {
      const std::size_t tokens = 50 + row;
      data_.train.push_back({.ids = std::vector<TokenId>(tokens, 3),
                             .trained = std::vector<std::uint8_t>(tokens, 1)});
      data_.sequences.push_back({row});
    }
    data_.train_counts.longest = 89;
  }

  std::int64_t peak(std::int64_t per_device) const {
    const BatchSizes sizes{per_device, 12 / per_device, 12};
    return memory_forecast(plan_, model_, data_, sizes, device_).memory.total();
  }
  std::int64_t chosen(std::int64_t there) const {
    const BatchSizes sizes = auto_batch(plan_, model_, data_, {1000, there}, device_);
    EXPECT_EQ(sizes.effective, 12);
    EXPECT_EQ(sizes.per_device * sizes.accumulation, 12);
    return sizes.per_device;
  }

  RunPlan plan_;
  Architecture model_ = tiny_architecture();
  Dataset data_;
  ComputeDevice device_;
};

TEST_F(AutoBatchTest, TakesTheMostThatFitsAndDivides) {
  ASSERT_LT(peak(4), peak(6));
  const auto room_for = [&](std::int64_t per_device) {
    return (peak(per_device) + 1000) * 10 / 9 + 2;
  };
  EXPECT_EQ(chosen(room_for(12)), 12);
  EXPECT_EQ(chosen(room_for(12) - 20), 6);
  EXPECT_EQ(chosen(room_for(4)), 4);
  EXPECT_EQ(chosen(room_for(4) - 20), 3);
}

TEST_F(AutoBatchTest, TakesOneWhereNothingFitsOrNothingIsKnown) {
  EXPECT_EQ(chosen(10), 1);
  EXPECT_EQ(chosen(0), 1);
}

}  // namespace
}  // namespace mayfly
