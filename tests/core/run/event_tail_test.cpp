// A line read twice counts progress that was not made; one that is lost hides a checkpoint.
#include "core/run/event_tail.h"

#include "core/atomic_file.h"
#include "tests/fakes/temporary_folder.h"

namespace mayfly {
namespace {

class EventTailTest : public TemporaryFolder {
 protected:
  std::string step(std::int64_t seq) const {
    StepEvent body;
    body.step = seq + 1;
    return event_line({seq, WallTime{}, body});
  }
  void append(const std::string& text) const {
    std::ofstream(path_, std::ios::app | std::ios::binary) << text;
  }
  std::filesystem::path path_ = folder_ / "events.jsonl";
};

TEST_F(EventTailTest, AFileThatIsNotThereYetHasNoEvents) {
  EventTail tail(path_);
  const auto events = tail.read_new();
  ASSERT_TRUE(events);
  EXPECT_TRUE(events->empty());
}

TEST_F(EventTailTest, ALineCountsOnceItsNewlineIsThere) {
  EventTail tail(path_);
  const std::string second = step(1);
  append(step(0) + "\n" + second.substr(0, 20));
  EXPECT_EQ(tail.read_new()->size(), 1U);
  EXPECT_TRUE(tail.read_new()->empty());
  append(second.substr(20));
  EXPECT_TRUE(tail.read_new()->empty());
  append("\n");
  const auto events = tail.read_new();
  ASSERT_EQ(events->size(), 1U);
  EXPECT_EQ(events->front().seq, 1);
}

TEST_F(EventTailTest, ATornLineIsPassedOverAndCounted) {
  EventTail tail(path_);
  append(step(0).substr(0, 15) + step(1) + "\n" + step(2) + "\n");
  const auto events = tail.read_new();
  ASSERT_EQ(events->size(), 1U);
  EXPECT_EQ(events->front().seq, 2);
  EXPECT_EQ(tail.skipped(), 1);
}

TEST_F(EventTailTest, AnEventOfALaterVersionIsNoFault) {
  EventTail tail(path_);
  append(R"({"v":1,"seq":0,"time":"2026-11-22T14:02:11.482Z","event":"from_the_future"})"
         "\n");
  EXPECT_TRUE(tail.read_new()->empty());
  EXPECT_EQ(tail.skipped(), 0);
}

TEST_F(EventTailTest, ALongFileComesInPiecesAndWhole) {
  std::string text;
  constexpr std::int64_t kEvents = 40'000;  // more than 4 MB
  for (std::int64_t seq = 0; seq < kEvents; ++seq) text += step(seq) + "\n";
  append(text);
  ASSERT_GT(text.size(), 4U << 20);
  EventTail tail(path_);
  std::int64_t expected = 0;
  int reads = 0;
  for (auto events = tail.read_new(); !events->empty(); events = tail.read_new(), ++reads) {
    for (const Event& event : *events) ASSERT_EQ(event.seq, expected++);
  }
  EXPECT_EQ(expected, kEvents);
  EXPECT_GE(reads, 2);
}

}  // namespace
}  // namespace mayfly
