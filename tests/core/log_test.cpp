// A token in a log that is uploaded is a token in public.
#include "core/log.h"

#include <gtest/gtest.h>

namespace mayfly {
namespace {

TEST(LogTest, MasksWhatLooksLikeAToken) {
  EXPECT_EQ(mask_tokens("using hf_abcdefghijklmnop now"), "using hf_*** now");
  EXPECT_EQ(mask_tokens("Authorization: Bearer abc.def-ghi_jkl"), "Authorization: Bearer ***");
  EXPECT_EQ(mask_tokens("key=AKIAIOSFODNN7EXAMPLE"), "key=AKIA***");
}

TEST(LogTest, LeavesOrdinaryWordsAlone) {
  EXPECT_EQ(mask_tokens("task-12 hf_home Bearer of news"), "task-12 hf_home Bearer of news");
}

}  // namespace
}  // namespace mayfly
