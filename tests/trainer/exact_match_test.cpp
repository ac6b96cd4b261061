// What could go wrong: a right answer that is counted wrong for a comma, a wrong one that is
// counted right because any number will do. The cases are those of lm-evaluation-harness' task
// gsm8k.
#include "trainer/exact_match.h"

#include <gtest/gtest.h>

namespace mayfly {
namespace {

TEST(ExactMatchTest, TakesTheNumberBehindTheMark) {
  EXPECT_EQ(strict_number("5 + 5 = 10\n#### 10"), "10");
  EXPECT_EQ(strict_number("#### 1,234"), "1234");
  EXPECT_EQ(strict_number("#### -7.5."), "-7.5");
  EXPECT_EQ(strict_number("#### 3\nmore 4"), "3");
  EXPECT_EQ(strict_number("#### none #### 8"), "8");
  EXPECT_EQ(strict_number("####5"), std::nullopt);
  EXPECT_EQ(strict_number("#### $5"), std::nullopt);
  EXPECT_EQ(strict_number("the answer is 5"), std::nullopt);
  EXPECT_EQ(strict_number("#### -"), std::nullopt);
  EXPECT_EQ(strict_number(""), std::nullopt);
}

TEST(ExactMatchTest, OrTheLastNumber) {
  EXPECT_EQ(flexible_number("5 + 5 = 10."), "10");
  EXPECT_EQ(flexible_number("It costs $1,250, of which -3 is left"), "-3");
  EXPECT_EQ(flexible_number("It costs $1,250"), "1250");
  EXPECT_EQ(flexible_number("it is 4, I think..."), "4");
  EXPECT_EQ(flexible_number("a 2.50 b"), "2.50");
  EXPECT_EQ(flexible_number("none, really."), std::nullopt);
  EXPECT_EQ(flexible_number(""), std::nullopt);
}

}  // namespace
}  // namespace mayfly
