// The agent reads progress by sequence number. What could go wrong: a restarted trainer that counts
// from 0 again, or that glues its first event to a line its killed predecessor left half-written.
#include "trainer/event_log.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/atomic_file.h"
#include "tests/trainer/test_folder.h"

namespace mayfly {
namespace {

std::vector<std::int64_t> seqs(const std::filesystem::path& path) {
  std::vector<std::int64_t> found;
  std::istringstream lines(*read_file(path));
  for (std::string line; std::getline(lines, line);) {
    const auto event = parse_event(line);
    EXPECT_TRUE(event && *event) << line;
    found.push_back((*event)->seq);
  }
  return found;
}

class EventLogTest : public TestFolder {
 protected:
  const std::filesystem::path path_ = folder_ / "events.jsonl";
  SystemClock clock_;
};

TEST_F(EventLogTest, CountsOnOverRestarts) {
  for (int start = 0; start < 3; ++start) {
    Result<EventLog> log = EventLog::open(path_, clock_);
    ASSERT_TRUE(log);
    EXPECT_EQ(log->next_seq(), 2 * start);
    ASSERT_TRUE(log->append(StageEvent{"load", 0, 1}));
    ASSERT_TRUE(log->append(StageEvent{"load", 1, 1}));
  }
  EXPECT_EQ(seqs(path_), (std::vector<std::int64_t>{0, 1, 2, 3, 4, 5}));
}

TEST_F(EventLogTest, CutsOffAHalfWrittenLineWhereverItWasCut) {
  std::string whole;
  {
    Result<EventLog> log = EventLog::open(path_, clock_);
    ASSERT_TRUE(log->append(StageEvent{"load", 0, 1}));
    ASSERT_TRUE(log->append(StageEvent{"load", 1, 1}));
    whole = *read_file(path_);
  }
  const std::size_t first = whole.find('\n') + 1;
  for (std::size_t size = first + 1; size < whole.size(); ++size) {
    ASSERT_TRUE(write_file(path_, whole.substr(0, size)));
    Result<EventLog> log = EventLog::open(path_, clock_);
    ASSERT_TRUE(log);
    ASSERT_TRUE(log->append(StageEvent{"encode", 0, 1}));
    EXPECT_EQ(seqs(path_), (std::vector<std::int64_t>{0, 1})) << size;
  }
}

TEST_F(EventLogTest, StartsAtNothing) {
  for (const char* content : {"", "{\"v\":1,\"se"}) {
    ASSERT_TRUE(write_file(path_, content));
    const Result<EventLog> log = EventLog::open(path_, clock_);
    ASSERT_TRUE(log);
    EXPECT_EQ(log->next_seq(), 0);
  }
}

TEST_F(EventLogTest, RefusesAFileThatIsSomethingElse) {
  ASSERT_TRUE(write_file(path_, "dear diary\n"));
  const Result<EventLog> log = EventLog::open(path_, clock_);
  ASSERT_FALSE(log);
  EXPECT_EQ(log.error().kind, ErrorKind::corrupt);
  EXPECT_EQ(*read_file(path_), "dear diary\n");
}

}  // namespace
}  // namespace mayfly
