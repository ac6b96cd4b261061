// A wrong folder means a list of runs that nobody finds again.
#include "core/user_folders.h"

#include <cstdlib>

#include <gtest/gtest.h>

namespace mayfly {
namespace {

class UserFoldersTest : public testing::Test {
 protected:
  UserFoldersTest() {
    for (const char* name : kNames) {
      const char* value = std::getenv(name);
      before_.push_back(value == nullptr ? "" : value);
      ::unsetenv(name);
    }
    ::setenv("HOME", "/home/ada", 1);
  }
  ~UserFoldersTest() override {
    for (std::size_t i = 0; i < before_.size(); ++i) {
      if (before_[i].empty()) {
        ::unsetenv(kNames[i]);
      } else {
        ::setenv(kNames[i], before_[i].c_str(), 1);
      }
    }
  }

 private:
  static constexpr const char* kNames[] = {"HOME",           "MAYFLY_STATE_DIR", "XDG_STATE_HOME",
                                           "XDG_CACHE_HOME", "XDG_DATA_HOME",    "XDG_CONFIG_HOME"};
  std::vector<std::string> before_;
};

TEST_F(UserFoldersTest, AreBelowHomeByDefault) {
  EXPECT_EQ(state_folder(), "/home/ada/.local/state/mayfly");
  EXPECT_EQ(cache_folder(), "/home/ada/.cache/mayfly");
  EXPECT_EQ(data_folder(), "/home/ada/.local/share/mayfly");
  EXPECT_EQ(config_folder(), "/home/ada/.config/mayfly");
}

TEST_F(UserFoldersTest, FollowTheEnvironment) {
  ::setenv("XDG_STATE_HOME", "/s", 1);
  EXPECT_EQ(state_folder(), "/s/mayfly");
  ::setenv("MAYFLY_STATE_DIR", "/own", 1);
  EXPECT_EQ(state_folder(), "/own");
  ::setenv("XDG_DATA_HOME", "/d", 1);
  EXPECT_EQ(data_folder(), "/d/mayfly");
}

TEST_F(UserFoldersTest, IgnoreRelativeValues) {
  ::setenv("XDG_CACHE_HOME", "cache", 1);
  EXPECT_EQ(cache_folder(), "/home/ada/.cache/mayfly");
}

}  // namespace
}  // namespace mayfly
