// A commit request is read as the hub reads it; what it does not say right is refused with its
// line.
#include "localhub/commit.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/sha256.h"

namespace mayfly::localhub {
namespace {

using testing::HasSubstr;

const std::string kHeader = R"({"key":"header","value":{"summary":"S","description":"D"}})";

std::string oid() {
  return sha256_hex("x");
}

TEST(CommitRequestTest, ReadsEveryKey) {
  const auto request = read_commit_request(
      R"({"key":"header","value":{"summary":"S","description":"D","parentCommit":"abcdef0"}})"
      "\n"
      R"({"key":"file","value":{"path":"a","content":"aGk=","encoding":"base64"}})"
      "\n"
      R"({"key":"file","value":{"path":"b","content":"plain","encoding":"utf-8"}})"
      "\r\n\n"
      R"({"key":"lfsFile","value":{"path":"c","algo":"sha256","oid":")" +
      oid() +
      R"(","size":7}})"
      "\n"
      R"({"key":"deletedFile","value":{"path":"d"}})"
      "\n"
      R"({"key":"deletedFolder","value":{"path":"e/"}})");
  ASSERT_TRUE(request) << request.error().message;
  EXPECT_EQ(request->summary, "S");
  EXPECT_EQ(request->description, "D");
  EXPECT_EQ(request->parent, "abcdef0");
  ASSERT_EQ(request->changes.size(), 5u);
  EXPECT_EQ(std::get<PutFile>(request->changes[0]).bytes, "hi");
  EXPECT_EQ(std::get<PutFile>(request->changes[1]).bytes, "plain");
  EXPECT_EQ(std::get<PutLargeFile>(request->changes[2]).size, 7);
  EXPECT_EQ(std::get<DeleteFile>(request->changes[3]).path, "d");
  EXPECT_EQ(std::get<DeleteFolder>(request->changes[4]).path, "e");
}

TEST(CommitRequestTest, RefusesWhatItCannotRead) {
  const std::vector<std::string> bad = {
      "",
      "not json",
      R"({"key":"file","value":{"path":"a","content":"","encoding":"base64"}})",  // no header
      R"({"key":"header","value":{"summary":""}})",
      kHeader + "\n[]",
      kHeader +
          "\n"
          R"({"key":"file"})",
      kHeader +
          "\n"
          R"({"key":"unknown","value":{"path":"a"}})",
      kHeader +
          "\n"
          R"({"key":"file","value":{"path":"../a","content":""}})",
      kHeader +
          "\n"
          R"({"key":"file","value":{"path":".git/config","content":""}})",
      kHeader +
          "\n"
          R"({"key":"file","value":{"path":"a","content":"!!","encoding":"base64"}})",
      kHeader +
          "\n"
          R"({"key":"lfsFile","value":{"path":"a","algo":"sha256","oid":"../../x"}})",
      kHeader +
          "\n"
          R"({"key":"lfsFile","value":{"path":"a","algo":"md5","oid":")" +
          oid() + "\"}}",
  };
  for (const std::string& text : bad) {
    const auto request = read_commit_request(text);
    ASSERT_FALSE(request) << text;
    EXPECT_EQ(request.error().kind, ErrorKind::refused);
    EXPECT_THAT(request.error().message, HasSubstr("line "));
  }
}

TEST(CommitRequestTest, SaysInWhichLine) {
  const auto request = read_commit_request(kHeader + "\n\n{\"key\":}");
  ASSERT_FALSE(request);
  EXPECT_THAT(request.error().message, HasSubstr("line 3"));
}

Commit example() {
  Commit commit;
  commit.summary = "First";
  commit.author = "local";
  commit.date = WallTime(std::chrono::seconds(1'700'000'000));
  for (const auto& [path, text] : std::map<std::string, std::string>{
           {"a/b/x.txt", "one"}, {"a.txt", "two"}, {"a/y", "three"}, {"a-b", "four"}}) {
    commit.tree[path] = regular_entry(sha256_hex(text), text);
  }
  return commit;
}

// `git commit-tree` of git 2.39 on the same tree, with this author and these dates.
TEST(CommitTest, HasTheIdThatGitGives) {
  const Commit first = with_id(example());
  EXPECT_EQ(first.id, "138a9ea23967e8637c8e51d82e5ebed402d45d53");
  Commit second = example();
  second.parent = first.id;
  second.summary = "Second";
  second.description = "Why";
  second.date += std::chrono::seconds(1);
  EXPECT_EQ(with_id(second).id, "be6468334c5e63518433e8a97aa9b95985303d3c");
}

TEST(CommitTest, ComesBackFromJson) {
  Commit commit = example();
  commit.description = "line one\nline two";
  commit.tree["big"] = lfs_entry(sha256_hex("big"), 3);
  commit = with_id(commit);
  const auto read = commit_from_json(commit_to_json(commit));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->id, commit.id);
  EXPECT_EQ(read->tree, commit.tree);
  EXPECT_EQ(with_id(*read).id, commit.id);
}

TEST(CommitTest, IsNotReadFromSomethingElse) {
  auto json = commit_to_json(with_id(example()));
  for (const char* key : {"id", "date", "files"}) {
    auto damaged = json;
    damaged.erase(key);
    EXPECT_FALSE(commit_from_json(damaged)) << key;
  }
  json["files"]["a.txt"]["sha256"] = "../../etc/passwd";
  EXPECT_FALSE(commit_from_json(json));
}

}  // namespace
}  // namespace mayfly::localhub
