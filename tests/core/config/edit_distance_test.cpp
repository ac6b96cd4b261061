// A wrong "did you mean" is worse than none.
#include "core/config/edit_distance.h"

#include <vector>

#include <gtest/gtest.h>

namespace mayfly {
namespace {

TEST(EditDistanceTest, CountsTheFewestSteps) {
  EXPECT_EQ(edit_distance("", ""), 0);
  EXPECT_EQ(edit_distance("", "abc"), 3);
  EXPECT_EQ(edit_distance("abc", ""), 3);
  EXPECT_EQ(edit_distance("epochs", "epochs"), 0);
  EXPECT_EQ(edit_distance("epocs", "epochs"), 1);
  EXPECT_EQ(edit_distance("epohcs", "epochs"), 1);  // two neighbours swapped
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3);
  EXPECT_EQ(edit_distance("ca", "abc"), 3);  // optimal string alignment, not full Damerau
}

TEST(NearestWordTest, NamesOnlyWhatIsNear) {
  const std::vector<std::string> words = {"epochs", "max_steps", "learning_rate", "r"};
  EXPECT_EQ(nearest_word("epocs", words), "epochs");
  EXPECT_EQ(nearest_word("learnig_rate", words), "learning_rate");
  EXPECT_EQ(nearest_word("maxsteps", words), "max_steps");
  EXPECT_EQ(nearest_word("x", words), "");
  EXPECT_EQ(nearest_word("weight_decay", words), "");
  EXPECT_EQ(nearest_word("", words), "");
  EXPECT_EQ(nearest_word(std::string(100'000, 'e'), words), "");
}

}  // namespace
}  // namespace mayfly
