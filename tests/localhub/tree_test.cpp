// Clients compare content by git's names, so these must be git's. The expected values were made
// with git 2.39 (write-tree, hash-object).
#include "localhub/tree.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/sha256.h"

namespace mayfly::localhub {
namespace {

using testing::ElementsAre;

Tree tree_of(const std::map<std::string, std::string>& files) {
  Tree tree;
  for (const auto& [path, text] : files) tree[path] = regular_entry(sha256_hex(text), text);
  return tree;
}

std::vector<std::string> paths(const std::vector<ListedEntry>& entries) {
  std::vector<std::string> names;
  for (const ListedEntry& entry : entries) names.push_back(entry.path);
  return names;
}

const Tree kTree =
    tree_of({{"a/b/x.txt", "one"}, {"a.txt", "two"}, {"a/y", "three"}, {"a-b", "four"}});

TEST(TreeTest, HasTheIdsThatGitGives) {
  EXPECT_EQ(git_tree_id({}), "4b825dc642cb6eb9a060e54bf8d69288fbee4904");
  EXPECT_EQ(git_tree_id(kTree), "1ce659f965d78cd8d2439c375d944761245caccf");
  EXPECT_EQ(git_tree_id(kTree, "a/"), "f19b6eba99bbdd90d1271cf258249f88d1a96d52");
  EXPECT_EQ(kTree.at("a-b").blob_id, "ea1f343c8a1248a4cc4eb47bc92953d0efddb510");
}

TEST(TreeTest, NamesALargeFileByItsPointer) {
  const TreeEntry entry = lfs_entry(sha256_hex("hello"), 5);
  EXPECT_EQ(entry.blob_id, "d1ca116d6733584c13cb8bb50b21d5b5b81ee28f");
  EXPECT_EQ(lfs_pointer(entry.sha256, 5).size(), 126u);
}

TEST(TreeTest, ListsAFolder) {
  EXPECT_THAT(paths(list_tree(kTree, "", false)), ElementsAre("a", "a-b", "a.txt"));
  EXPECT_THAT(paths(list_tree(kTree, "a", false)), ElementsAre("a/b", "a/y"));
  EXPECT_THAT(paths(list_tree(kTree, "a/b", false)), ElementsAre("a/b/x.txt"));
  EXPECT_THAT(paths(list_tree(kTree, "absent", false)), ElementsAre());
}

TEST(TreeTest, ListsEverythingBelow) {
  const auto all = list_tree(kTree, "", true);
  EXPECT_THAT(paths(all), ElementsAre("a", "a-b", "a.txt", "a/b", "a/b/x.txt", "a/y"));
  EXPECT_EQ(all[0].file, nullptr);
  EXPECT_EQ(all[0].oid, "f19b6eba99bbdd90d1271cf258249f88d1a96d52");
  EXPECT_EQ(all[1].file->size, 4);
}

TEST(TreeTest, KnowsAFolderFromANameThatBeginsLikeIt) {
  EXPECT_TRUE(has_folder(kTree, "a"));
  EXPECT_TRUE(has_folder(kTree, "a/b"));
  EXPECT_FALSE(has_folder(kTree, "a-b"));
  EXPECT_FALSE(has_folder(kTree, "a/"));
  EXPECT_FALSE(has_folder(kTree, "b"));
}

}  // namespace
}  // namespace mayfly::localhub
