// Names that a hub would refuse after a day of training are refused before it starts; names from a
// hub that would lead out of a folder are refused always.
#include "core/hub_names.h"

#include <gtest/gtest.h>

namespace mayfly {
namespace {

TEST(HubNamesTest, TakesRepositoriesAsTheHubDoes) {
  for (const char* good : {"a/b", "local/smollm2-gsm8k_1.0", "_x/y_", "A1/b.c"}) {
    EXPECT_TRUE(parse_repo_name(good)) << good;
  }
  for (const char* bad : {"", "a", "a/", "/b", "a/b/c", "a/b c", "a/-b", "a/b.", "a/b--c", "a/b..c",
                          "a/b.git", "a/é", "../x"}) {
    const auto name = parse_repo_name(bad);
    ASSERT_FALSE(name) << bad;
    EXPECT_EQ(name.error().kind, ErrorKind::invalid_config);
  }
  EXPECT_TRUE(parse_repo_name("a/" + std::string(96, 'x')));
  EXPECT_FALSE(parse_repo_name("a/" + std::string(97, 'x')));
}

TEST(HubNamesTest, TakesPathsThatStayInside) {
  for (const char* good : {"a", "a/b.txt", ".gitattributes", "logs/run 1/x.log", "..a/b", "é/ü"}) {
    EXPECT_TRUE(check_repo_path(good)) << good;
  }
  for (const char* bad : {"", "/a", "a/", "a//b", ".", "..", "a/../b", "a/./b", ".git/config",
                          "x/.cache/y", "a\\b", "a\nb", "a/.."}) {
    EXPECT_FALSE(check_repo_path(bad)) << bad;
  }
  EXPECT_FALSE(check_repo_path(std::string("a\0b", 3)));
  EXPECT_FALSE(check_repo_path(std::string(1025, 'a')));
}

TEST(HubNamesTest, TakesBranchesAsGitDoes) {
  for (const char* good : {"main", "checkpoint-epoch-1", "ckpt/epoch-2", "v1.0"}) {
    EXPECT_TRUE(check_branch_name(good)) << good;
  }
  for (const char* bad :
       {"",   "a b", "a..b", "a~1", "a^",   "a:b",    "a?", "a*",   "a[b",          "a\\b", "-a",
        "/a", "a/",  "a//b", ".a",  "a/.b", "a.lock", "a.", "a@{b", "refs/heads/a", "a\tb"}) {
    EXPECT_FALSE(check_branch_name(bad)) << bad;
  }
}

TEST(HubNamesTest, MakesAddresses) {
  const HubRepo model{RepoKind::model, {"me", "x"}};
  const HubRepo dataset{RepoKind::dataset, {"me", "x"}};
  EXPECT_EQ(model.api(), "/api/models/me/x");
  EXPECT_EQ(model.web(), "/me/x");
  EXPECT_EQ(dataset.api(), "/api/datasets/me/x");
  EXPECT_EQ(dataset.web(), "/datasets/me/x");
  EXPECT_EQ(encode_path("logs/run 1/x%.log"), "logs/run%201/x%25.log");
}

}  // namespace
}  // namespace mayfly
