// Trainer, agent and status talk through these lines only. What could go wrong: a field written
// under one name and read under another, a number that loses digits on the way (resuming is
// compared bit for bit), a long message that makes a line of more than 4 KB, an old reader that
// falls over a new event, and documentation that shows lines which do not exist.
#include "core/run/event.h"

#include <cmath>
#include <regex>

#include <gtest/gtest.h>

#include "core/atomic_file.h"

namespace mayfly {
namespace {

const WallTime kTime = *parse_utc("2026-11-22T14:02:11.482Z");

Event round_trip(EventBody body) {
  const Event event{.seq = 7, .time = kTime, .body = std::move(body)};
  Result<std::optional<Event>> read = parse_event(event_line(event));
  EXPECT_TRUE(read) << event_line(event);
  EXPECT_TRUE(read->has_value());
  EXPECT_EQ((*read)->seq, 7);
  EXPECT_EQ((*read)->time, kTime);
  return **read;
}

TEST(EventTest, WritesWhatTheDocumentationSays) {
  const Event event{.seq = 0, .time = kTime, .body = StageEvent{"encode", 3, 128}};
  EXPECT_EQ(event_line(event),
            R"({"v":1,"seq":0,"time":"2026-11-22T14:02:11.482Z","event":"stage",)"
            R"("name":"encode","done":3,"of":128})");
}

TEST(EventTest, KeepsEveryBitOfADouble) {
  StepEvent step{.step = 3, .of = 9, .epoch = 1.0 / 3, .loss = 2.0 / 7, .learning_rate = 2e-4};
  step.grad_norm = std::nextafter(1.0, 2.0);
  step.tokens = 1234;
  step.tokens_per_second = 1e-300;
  step.memory_bytes = std::int64_t{1} << 40;
  const auto read = std::get<StepEvent>(round_trip(step).body);
  EXPECT_EQ(read.step, 3);
  EXPECT_EQ(read.of, 9);
  EXPECT_EQ(read.epoch, step.epoch);
  EXPECT_EQ(read.loss, step.loss);
  EXPECT_EQ(read.learning_rate, step.learning_rate);
  EXPECT_EQ(read.grad_norm, step.grad_norm);
  EXPECT_EQ(read.tokens, step.tokens);
  EXPECT_EQ(read.tokens_per_second, step.tokens_per_second);
  EXPECT_EQ(read.memory_bytes, step.memory_bytes);
}

TEST(EventTest, ReadsBackEveryKind) {
  const auto started =
      std::get<StartedEvent>(round_trip(StartedEvent{"0.1.0", "ab12", "sft", "cpu", 40}).body);
  EXPECT_EQ(started.version, "0.1.0");
  EXPECT_EQ(started.plan_hash, "ab12");
  EXPECT_EQ(started.phase, "sft");
  EXPECT_EQ(started.device, "cpu");
  EXPECT_EQ(started.resumed_from_step, 40);

  const auto data = std::get<DataEvent>(round_trip(DataEvent{1, 2, 3, 4, 5, 6, 7}).body);
  EXPECT_EQ(data.examples, 1);
  EXPECT_EQ(data.tokens, 2);
  EXPECT_EQ(data.tokens_trained_on, 3);
  EXPECT_EQ(data.truncated, 4);
  EXPECT_EQ(data.dropped, 5);
  EXPECT_EQ(data.validation_examples, 6);
  EXPECT_EQ(data.total_steps, 7);

  const auto evaluated = std::get<EvaluatedEvent>(round_trip(EvaluatedEvent{5, 1.5, 8, 99}).body);
  EXPECT_EQ(evaluated.step, 5);
  EXPECT_EQ(evaluated.loss, 1.5);
  EXPECT_EQ(evaluated.examples, 8);
  EXPECT_EQ(evaluated.tokens, 99);

  const auto warning = std::get<WarningEvent>(round_trip(WarningEvent{"c", "w", "h"}).body);
  EXPECT_EQ(warning.code + warning.what + warning.hint, "cwh");
  const auto failed = std::get<FailedEvent>(round_trip(FailedEvent{"k", "w", "h"}).body);
  EXPECT_EQ(failed.kind + failed.what + failed.hint, "kwh");
  const auto finished =
      std::get<FinishedEvent>(round_trip(FinishedEvent{12, 3.25, true, "adapter"}).body);
  EXPECT_EQ(finished.steps, 12);
  EXPECT_EQ(finished.seconds, 3.25);
  EXPECT_TRUE(finished.stopped);
  EXPECT_EQ(finished.path, "adapter");
}

TEST(EventTest, ACheckpointSaysWhetherItEndsAnEpoch) {
  CheckpointEvent checkpoint{.step = 8, .epoch = 1, .whole_epoch = 1, .path = "p", .bytes = 5};
  EXPECT_EQ(std::get<CheckpointEvent>(round_trip(checkpoint).body).whole_epoch, 1);
  checkpoint.whole_epoch.reset();
  EXPECT_EQ(event_line({0, kTime, checkpoint}).find("whole_epoch"), std::string::npos);
  EXPECT_FALSE(std::get<CheckpointEvent>(round_trip(checkpoint).body).whole_epoch.has_value());
}

TEST(EventTest, StaysUnderFourKilobytesWhateverTheMessage) {
  const std::string text(100'000, 'x');
  const std::string line = event_line({1'000'000, kTime, FailedEvent{text, text, text}});
  EXPECT_LT(line.size(), 4096U);
  EXPECT_TRUE(parse_event(line));
  // A cut must not fall into a character of several bytes.
  std::string accents;
  for (int i = 0; i < 2000; ++i) accents += "é";
  const std::string cut = event_line({1, kTime, WarningEvent{"x", accents, "a" + accents}});
  EXPECT_EQ(cut.find("\xEF\xBF\xBD"), std::string::npos);
}

TEST(EventTest, IgnoresWhatANewerVersionWrites) {
  const std::string start = R"({"v":1,"seq":0,"time":"2026-11-22T14:02:11.482Z",)";
  const auto unknown = parse_event(start + R"("event":"moon_phase","phase":"full"})");
  ASSERT_TRUE(unknown);
  EXPECT_FALSE(unknown->has_value());
  const auto more = parse_event(start + R"("event":"stage","name":"load","new_field":[1]})");
  ASSERT_TRUE(more && more->has_value());
  EXPECT_EQ(std::get<StageEvent>((*more)->body).name, "load");
}

TEST(EventTest, RefusesDamagedLines) {
  const std::string good = event_line({3, kTime, StageEvent{"load", 1, 2}});
  for (std::size_t size = 0; size < good.size(); ++size) {
    EXPECT_FALSE(parse_event(good.substr(0, size))) << size;
  }
  for (const char* bad :
       {"[]", R"({"v":1,"event":"stage"})", R"({"v":1,"seq":0,"time":"soon","event":"stage"})",
        R"({"v":1,"seq":0,"time":"2026-11-22T14:02:11.482Z","event":"stage","done":"three"})",
        R"({"v":1,"seq":-1,"time":"2026-11-22T14:02:11.482Z","event":"stage"})",
        R"({"seq":0,"time":"2026-11-22T14:02:11.482Z","event":"stage"})"}) {
    const auto read = parse_event(bad);
    ASSERT_FALSE(read) << bad;
    EXPECT_EQ(read.error().kind, ErrorKind::corrupt);
  }
}

TEST(EventTest, EveryLineShownInTheDocumentationIsWhatWeWrite) {
  const Result<std::string> page = read_file(MAYFLY_SOURCE_DIR "/docs/events.md");
  ASSERT_TRUE(page);
  const std::regex line_pattern(R"(\n(\{"v":1,[^\n]*\})(?=\n))");
  int lines = 0;
  for (std::sregex_iterator it(page->begin(), page->end(), line_pattern), end; it != end; ++it) {
    const std::string line = (*it)[1];
    const auto event = parse_event(line);
    ASSERT_TRUE(event && event->has_value()) << line;
    EXPECT_EQ(event_line(**event), line);
    ++lines;
  }
  EXPECT_GE(lines, static_cast<int>(std::variant_size_v<EventBody>));
}

}  // namespace
}  // namespace mayfly
