// A command of the user's may fail, hang or shout: training must not notice.
#include "trainer/hooks.h"

#include <gtest/gtest.h>

namespace mayfly {
namespace {

TEST(HooksTest, RunsNothingAtOtherMoments) {
  Hooks hooks({{"on_end", "exit 1"}}, "/run");
  EXPECT_FALSE(hooks.run("on_step", {}));
}

TEST(HooksTest, WarnsOnceOfEachMoment) {
  Hooks hooks({{"on_step", "exit 4"}, {"on_end", "nothing_of_this_name"}}, "/run");
  const auto first = hooks.run("on_step", {});
  ASSERT_TRUE(first);
  EXPECT_EQ(first->what, "train.hooks.on_step failed: exit code 4");
  EXPECT_FALSE(hooks.run("on_step", {}));
  const auto other = hooks.run("on_end", {});
  ASSERT_TRUE(other);
  EXPECT_NE(other->what.find("not found"), std::string::npos) << other->what;
}

TEST(HooksTest, EndsACommandThatHangs) {
  Hooks hooks({{"on_step", "sleep 60 & sleep 60"}}, "/run", std::chrono::milliseconds(200));
  const auto began = std::chrono::steady_clock::now();
  const auto warning = hooks.run("on_step", {});
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(20));
  ASSERT_TRUE(warning);
  EXPECT_NE(warning->what.find("did not end in time"), std::string::npos) << warning->what;
}

}  // namespace
}  // namespace mayfly
