// The stand-in hub keeps what it acknowledged, moves a branch in one step or not at all, and lets
// nobody write on top of something they have not seen when they say so.
#include "localhub/repository.h"

#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "core/atomic_file.h"
#include "core/sha256.h"
#include "localhub/library.h"
#include "localhub/listing.h"

namespace mayfly::localhub {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class RepositoryTest : public testing::Test {
 protected:
  void SetUp() override {
    root_ = fs::temp_directory_path() / ("repository_test." + std::to_string(::getpid()));
    fs::remove_all(root_);
    open();
    auto made = library_->create(kRepo, false, "local", kNow);
    ASSERT_TRUE(made) << made.error().message;
    repository_.emplace(std::move(*made));
  }
  void TearDown() override {
    fs::remove_all(root_);
  }
  void open() {
    auto opened = Library::open(root_);
    ASSERT_TRUE(opened) << opened.error().message;
    library_ = std::move(*opened);
  }
  Result<Commit> commit(std::vector<Change> changes, const std::string& parent = "",
                        const std::string& branch = "main") {
    return repository_->apply(branch, {"Summary", "", parent, std::move(changes)}, "local", kNow);
  }
  std::string content(const std::string& revision, const std::string& path) {
    const auto at = repository_->resolve(revision);
    if (!at || !at->tree.contains(path)) return "<missing>";
    return *library_->objects().read(at->tree.at(path).sha256);
  }

  const HubRepo kRepo{RepoKind::model, {"local", "demo"}};
  const WallTime kNow{std::chrono::seconds(1'700'000'000)};
  fs::path root_;
  std::unique_ptr<Library> library_;
  std::optional<Repository> repository_;
};

TEST_F(RepositoryTest, BeginsWithAttributesOnMain) {
  EXPECT_THAT(repository_->branches(), testing::ElementsAre(testing::Key("main")));
  EXPECT_THAT(content("main", ".gitattributes"), HasSubstr("*.safetensors filter=lfs"));
}

TEST_F(RepositoryTest, IsThereOnce) {
  const auto again = library_->create(kRepo, true, "local", kNow);
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().kind, ErrorKind::guard);
  EXPECT_TRUE(library_->create({RepoKind::dataset, kRepo.name}, true, "local", kNow));
  EXPECT_EQ(library_->all().size(), 2u);
}

TEST_F(RepositoryTest, KeepsFilesOverAReopening) {
  ASSERT_TRUE(commit({PutFile{"a.txt", "one"}}));
  const auto made = commit({PutFile{"b.txt", "two"}});
  ASSERT_TRUE(made);
  open();
  auto found = library_->find(kRepo);
  ASSERT_TRUE(found);
  repository_.emplace(std::move(*found));
  EXPECT_EQ(repository_->branches().at("main"), made->id);
  EXPECT_EQ(content("main", "a.txt"), "one");
  EXPECT_EQ(content("main", "b.txt"), "two");
  EXPECT_EQ(repository_->history(made->id, 10).size(), 3u);
}

TEST_F(RepositoryTest, BranchesGoTheirOwnWays) {
  ASSERT_TRUE(commit({PutFile{"a.txt", "one"}}));
  ASSERT_TRUE(repository_->create_branch("ckpt/one", *repository_->resolve("main")));
  ASSERT_TRUE(commit({PutFile{"a.txt", "two"}}, "", "ckpt/one"));
  EXPECT_EQ(content("main", "a.txt"), "one");
  EXPECT_EQ(content("ckpt/one", "a.txt"), "two");
  // A branch beside a folder of branches, which git itself cannot have.
  EXPECT_TRUE(repository_->create_branch("ckpt", *repository_->resolve("main")));
  const Status again = repository_->create_branch("ckpt", *repository_->resolve("main"));
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().kind, ErrorKind::guard);
  EXPECT_FALSE(repository_->create_branch("../evil", *repository_->resolve("main")));
  ASSERT_TRUE(repository_->delete_branch("ckpt"));
  EXPECT_FALSE(repository_->delete_branch("ckpt"));
  EXPECT_FALSE(repository_->delete_branch("main"));
}

TEST_F(RepositoryTest, ResolvesWhatGitResolves) {
  const auto made = commit({PutFile{"a.txt", "one"}});
  ASSERT_TRUE(made);
  ASSERT_TRUE(repository_->create_tag("v1", *made));
  for (const std::string& name :
       {std::string("main"), std::string("refs/heads/main"), std::string("HEAD"), std::string("v1"),
        made->id, made->id.substr(0, 7)}) {
    const auto found = repository_->resolve(name);
    ASSERT_TRUE(found) << name;
    EXPECT_EQ(found->id, made->id);
  }
  for (const std::string& name : {std::string("absent"), made->id.substr(0, 6),
                                  std::string(40, '0'), std::string("../main"), std::string("")}) {
    EXPECT_FALSE(repository_->resolve(name)) << name;
  }
}

TEST_F(RepositoryTest, RefusesAParentThatIsNotTheHead) {
  const auto first = commit({PutFile{"a.txt", "one"}});
  ASSERT_TRUE(first);
  ASSERT_TRUE(commit({PutFile{"a.txt", "two"}}, first->id));
  const auto stale = commit({PutFile{"a.txt", "three"}}, first->id);
  ASSERT_FALSE(stale);
  EXPECT_EQ(stale.error().kind, ErrorKind::guard);
  EXPECT_EQ(content("main", "a.txt"), "two");
  const std::string head = repository_->branches().at("main");
  EXPECT_FALSE(commit({PutFile{"a.txt", "x"}}, head.substr(0, 6)));
  EXPECT_TRUE(commit({PutFile{"a.txt", "x"}}, head.substr(0, 7)));
}

TEST_F(RepositoryTest, ChangesAllOrNothing) {
  ASSERT_TRUE(commit({PutFile{"a.txt", "one"}}));
  const std::string head = repository_->branches().at("main");
  const auto missing = commit({PutFile{"b.txt", "two"}, DeleteFile{"absent"}});
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().kind, ErrorKind::not_found);
  EXPECT_EQ(repository_->branches().at("main"), head);
}

TEST_F(RepositoryTest, TakesOnlyLargeFilesThatWereUploaded) {
  const std::string sha256 = sha256_hex("weights");
  EXPECT_FALSE(commit({PutLargeFile{"w.safetensors", sha256, 7}}));
  ASSERT_TRUE(library_->objects().put("weights"));
  const auto wrong_size = commit({PutLargeFile{"w.safetensors", sha256, 8}});
  ASSERT_FALSE(wrong_size);
  EXPECT_EQ(wrong_size.error().kind, ErrorKind::refused);
  EXPECT_TRUE(commit({PutLargeFile{"w.safetensors", sha256, 7}}));
}

TEST_F(RepositoryTest, MarksLargeFilesThatNoPatternNames) {
  const std::string sha256 = *library_->objects().put("weights");
  ASSERT_TRUE(commit({PutLargeFile{"w.safetensors", sha256, 7}}));
  const std::string before = content("main", ".gitattributes");
  EXPECT_THAT(before, testing::Not(HasSubstr("/w.safetensors")));
  ASSERT_TRUE(commit({PutLargeFile{"sub/odd name.dat", sha256, 7}}));
  EXPECT_THAT(content("main", ".gitattributes"),
              HasSubstr("/sub/odd[[:space:]]name.dat filter=lfs"));
}

TEST_F(RepositoryTest, DeletesFilesAndFolders) {
  ASSERT_TRUE(commit({PutFile{"a/b/x", "1"}, PutFile{"a/y", "2"}, PutFile{"ab", "3"}}));
  ASSERT_TRUE(commit({DeleteFolder{"a"}}));
  EXPECT_EQ(content("main", "a/y"), "<missing>");
  EXPECT_EQ(content("main", "ab"), "3");
  EXPECT_FALSE(commit({DeleteFolder{"a"}}));
  EXPECT_TRUE(commit({DeleteFile{"ab"}}));
}

TEST_F(RepositoryTest, NamesAreFilesOrFolders) {
  ASSERT_TRUE(commit({PutFile{"a", "1"}}));
  EXPECT_FALSE(commit({PutFile{"a/b", "2"}}));
  ASSERT_TRUE(commit({PutFile{"c/d", "1"}}));
  EXPECT_FALSE(commit({PutFile{"c", "2"}}));
}

TEST_F(RepositoryTest, SquashesToOneCommit) {
  ASSERT_TRUE(commit({PutFile{"a", "1"}}));
  ASSERT_TRUE(commit({PutFile{"b", "2"}}));
  const auto squashed = repository_->squash("main", "One", "local", kNow);
  ASSERT_TRUE(squashed);
  EXPECT_EQ(repository_->history(squashed->id, 10).size(), 1u);
  EXPECT_EQ(content("main", "a"), "1");
  EXPECT_EQ(content("main", "b"), "2");
}

TEST_F(RepositoryTest, LivesThroughALeftoverOfACrash) {
  const auto made = commit({PutFile{"a", "1"}});
  ASSERT_TRUE(made);
  const fs::path refs = root_ / "repos" / "models" / "local" / "demo" / "refs" / "heads";
  ASSERT_TRUE(write_file(refs / "main.tmp.12345", "half a comm"));
  ASSERT_TRUE(write_file(root_ / "incoming" / "12345.1", "half an object"));
  open();
  EXPECT_FALSE(fs::exists(root_ / "incoming" / "12345.1"));
  EXPECT_THAT(repository_->branches(), testing::ElementsAre(testing::Pair("main", made->id)));
}

TEST_F(RepositoryTest, IsListedForAPerson) {
  ASSERT_TRUE(commit({PutFile{"a", "12345"}}));
  std::ostringstream out;
  ASSERT_TRUE(list_folder(root_, out));
  EXPECT_THAT(out.str(), HasSubstr("local/demo  main  2 files"));
  EXPECT_THAT(out.str(), HasSubstr("Summary"));
  EXPECT_FALSE(list_folder(root_ / "absent", out));
}

TEST_F(RepositoryTest, IsGoneWhenDeleted) {
  ASSERT_TRUE(library_->remove(kRepo));
  EXPECT_FALSE(library_->find(kRepo));
  EXPECT_FALSE(library_->remove(kRepo));
  EXPECT_TRUE(library_->all().empty());
}

}  // namespace
}  // namespace mayfly::localhub
