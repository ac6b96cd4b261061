// What could go wrong: half a decision that is taken for one, a decision that is lost because the
// line before it was torn, a disk that refuses and stops the agent.
#include "agent/journal.h"

#include <algorithm>
#include <csignal>
#include <fstream>

#include <sys/resource.h>

#include "core/atomic_file.h"
#include "tests/fakes/temporary_folder.h"

namespace mayfly {
namespace {

namespace fs = std::filesystem;

class JournalTest : public TemporaryFolder {
 protected:
  std::string text() const {
    const Result<std::string> read = read_file(path_);
    return read ? *read : "";
  }
  static std::string object(int number) {
    return "{\"number\":" + std::to_string(number) + "}";
  }
  std::vector<std::string> lines() const {
    return read_journal(text()).lines;
  }

  fs::path path_ = folder_ / "decisions.jsonl";
  ReserveFile reserve_{folder_ / "reserve"};
};

TEST_F(JournalTest, ALineCarriesItsLengthAndChecksum) {
  Journal journal(path_, reserve_);
  ASSERT_TRUE(journal.append("{\"a\":\"b\"}"));
  EXPECT_EQ(text(), "{\"a\":\"b\",\"length\":8,\"crc32c\":\"db20a772\"}\n");
}

TEST_F(JournalTest, EveryCutOfTheLastLineLosesThatLineAlone) {
  Journal journal(path_, reserve_);
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(journal.append(object(i)));
  const std::string whole = text();
  const std::size_t third = whole.rfind('\n', whole.size() - 2) + 1;
  for (std::size_t cut = third; cut < whole.size() - 1; ++cut) {
    const JournalText read = read_journal(whole.substr(0, cut));
    EXPECT_EQ(read.lines.size(), 2U) << cut;
    EXPECT_EQ(read.damaged, 0) << cut;
  }
  EXPECT_EQ(read_journal(whole.substr(0, whole.size() - 1)).lines.size(), 3U);
}

TEST_F(JournalTest, EveryFlippedByteIsFound) {
  Journal journal(path_, reserve_);
  ASSERT_TRUE(journal.append(object(12345)));
  const std::string whole = text();
  for (std::size_t i = 0; i + 1 < whole.size(); ++i) {
    std::string damaged = whole;
    damaged[i] = static_cast<char>(damaged[i] ^ 1);
    EXPECT_TRUE(read_journal(damaged).lines.empty()) << i;
  }
}

TEST_F(JournalTest, WhatComesAfterATornLineIsNotLostWithIt) {
  Journal journal(path_, reserve_);
  ASSERT_TRUE(journal.append(object(1)));
  std::ofstream(path_, std::ios::app) << "{\"number\":2,\"len";
  Journal next(path_, reserve_);
  ASSERT_TRUE(next.append(object(3)));
  const JournalText read = read_journal(text());
  EXPECT_EQ(read.lines, (std::vector{sealed_line(object(1)), sealed_line(object(3))}));
  EXPECT_EQ(read.damaged, 1);
}

TEST_F(JournalTest, AnObjectThatLooksLikeASealIsNone) {
  const std::string tricky = "{\"detail\":\",\\\"length\\\":3,\\\"crc32c\\\":\\\"00000000\\\"\"}";
  EXPECT_TRUE(is_sealed(sealed_line(tricky)));
  EXPECT_FALSE(is_sealed(tricky));
  EXPECT_FALSE(is_sealed(""));
  EXPECT_FALSE(is_sealed(",\"length\":0,\"crc32c\":\"00000001\"}"));
}

// The file stays as long as it is: what a full disk does, for a process that may not fill one.
class FileLimit {
 public:
  explicit FileLimit(rlim_t bytes) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    handler_ = std::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{bytes, before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileLimit() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  rlimit before_{};
  void (*handler_)(int) = nullptr;
};

TEST_F(JournalTest, AFullDiskIsWrittenAroundAndCaughtUpWith) {
  Journal journal(path_, reserve_);
  // Longer than the reserve, so that the limit stops this file and not the reserve.
  const std::string much = "{\"x\":\"" + std::string(ReserveFile::kBytes, 'x') + "\"}";
  ASSERT_TRUE(journal.append(much));
  const std::size_t before = text().size();
  {
    const FileLimit full(before + 20);
    EXPECT_TRUE(journal.append(object(1)));  // in the reserve
    EXPECT_TRUE(journal.append(object(2)));
    EXPECT_EQ(text().size(), before);  // and no half of it here
    EXPECT_EQ(journal.waiting(), 2U);
  }
  EXPECT_EQ(reserve_.lines(), (std::vector{sealed_line(object(1)), sealed_line(object(2))}));
  ASSERT_TRUE(journal.append(object(3)));
  EXPECT_EQ(journal.waiting(), 0U);
  ASSERT_EQ(lines().size(), 4U);
  EXPECT_EQ(lines()[1], sealed_line(object(1)));
  EXPECT_EQ(lines()[3], sealed_line(object(3)));
}

TEST_F(JournalTest, WithoutAReserveItIsKeptInMemory) {
  ReserveFile none(folder_ / "no-such-folder/reserve");
  Journal journal(folder_ / "another/decisions.jsonl", none);
  EXPECT_FALSE(journal.append(object(1)));
  EXPECT_EQ(journal.waiting(), 1U);
  fs::create_directories(folder_ / "another");
  ASSERT_TRUE(journal.append(object(2)));
  EXPECT_EQ(read_journal(*read_file(folder_ / "another/decisions.jsonl")).lines.size(), 2U);
}

TEST_F(JournalTest, TheReserveOutlivesItsAgentAndOverwritesTheOldest) {
  const std::string padding(100'000, 'x');
  const auto line = [&](int number) {
    return sealed_line("{\"number\":" + std::to_string(number) + ",\"x\":\"" + padding + "\"}");
  };
  for (int number = 0; number < 25; ++number) {
    ReserveFile reserve(folder_ / "reserve");  // a new life each time
    ASSERT_TRUE(reserve.append(line(number)));
  }
  EXPECT_EQ(fs::file_size(folder_ / "reserve"), ReserveFile::kBytes);
  const std::vector<std::string> kept = ReserveFile(folder_ / "reserve").lines();
  EXPECT_GE(kept.size(), 9U);
  for (int number = 17; number < 25; ++number) {
    EXPECT_NE(std::find(kept.begin(), kept.end(), line(number)), kept.end()) << number;
  }
}

}  // namespace
}  // namespace mayfly
