// What could go wrong: metrics of steps that were thrown away by going back to a checkpoint stay in
// the file and a plot folds back on itself; a logging interval that loses the last step.
#include "trainer/report.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/atomic_file.h"
#include "core/json.h"
#include "tests/trainer/test_folder.h"

namespace mayfly {
namespace {

using namespace std::chrono_literals;

StepEvent step(std::int64_t number) {
  StepEvent event;
  event.step = number;
  event.of = 5;
  event.loss = 1.0 / static_cast<double>(number);
  event.tokens_per_second = 511.6;
  return event;
}

class ReportTest : public TestFolder {
 protected:
  std::vector<std::int64_t> metric_steps() {
    std::vector<std::int64_t> steps;
    std::istringstream lines(*read_file(run_.metrics()));
    for (std::string line; std::getline(lines, line);) {
      steps.push_back(parse_json(line, "metrics")->at("current_steps"));
    }
    return steps;
  }
  Report open() {
    Result<Report> report = Report::open(
        run_, clock_, {.logging_steps = 2, .redraw_every = 1000ms, .terminal = {}, .quiet = true});
    EXPECT_TRUE(report);
    return std::move(*report);
  }

  const RunDirectory run_{folder_};
  SystemClock clock_;
};

TEST_F(ReportTest, WritesEveryStepAsAnEventAndEveryNthAsAMetric) {
  Report report = open();
  for (int i = 1; i <= 5; ++i) ASSERT_TRUE(report.tell(step(i)));
  EXPECT_EQ(metric_steps(), (std::vector<std::int64_t>{2, 4, 5}));
  int events = 0;
  std::istringstream lines(*read_file(run_.events()));
  for (std::string line; std::getline(lines, line);) ++events;
  EXPECT_EQ(events, 5);
}

TEST_F(ReportTest, DropsMetricsOfStepsThatAreMadeAgain) {
  {
    Report report = open();
    ASSERT_TRUE(report.tell(EvaluatedEvent{0, 2.0, 1, 1}));
    for (int i = 1; i <= 4; ++i) ASSERT_TRUE(report.tell(step(i)));
    ASSERT_TRUE(append_line(run_.metrics(), "{\"current_st"));
  }
  Report report = open();
  ASSERT_TRUE(report.go_on_from(3));
  EXPECT_EQ(metric_steps(), (std::vector<std::int64_t>{0, 2}));
  for (int i = 4; i <= 5; ++i) ASSERT_TRUE(report.tell(step(i)));
  EXPECT_EQ(metric_steps(), (std::vector<std::int64_t>{0, 2, 4, 5}));
}

TEST(MetricsLineTest, HasTheKeysOtherToolsRead) {
  const auto line = parse_json(metrics_line(step(4), 83s, 3600s), "line");
  ASSERT_TRUE(line);
  EXPECT_EQ(line->at("current_steps"), 4);
  EXPECT_EQ(line->at("total_steps"), 5);
  EXPECT_EQ(line->at("loss"), 0.25);
  EXPECT_EQ(line->at("percentage"), 80.0);
  EXPECT_EQ(line->at("elapsed_time"), "0:01:23");
  EXPECT_EQ(line->at("remaining_time"), "1:00:00");
}

TEST(MetricsLineTest, TellsPeopleLossSpeedAndTimeLeft) {
  EXPECT_EQ(step_tail(step(4), 190s), "loss 0.2500  512 tok/s  ETA 3m10s");
}

}  // namespace
}  // namespace mayfly
