// The picture of a long run must stay small and true: no step lost, none twice after a restart, and
// nothing read that is not written to its end.
#include "agent/loss_curve.h"

#include <cmath>

#include <gmock/gmock.h>

#include "tests/fakes/temporary_folder.h"

namespace mayfly {
namespace {

class LossCurveTest : public TemporaryFolder {
 protected:
  static std::string step_line(std::int64_t step, double loss) {
    Event event{.seq = step, .time = {}, .body = StepEvent{.step = step, .of = 1000, .loss = loss}};
    return event_line(event) + "\n";
  }
  std::filesystem::path file = folder_ / "events.jsonl";
};

TEST_F(LossCurveTest, JoinsNeighboursSoThatAnyRunFits) {
  LossCurve curve(file);
  for (std::int64_t step = 1; step <= 100'000; ++step) {
    curve.add(
        {step, {}, StepEvent{.step = step, .of = 100'000, .loss = static_cast<double>(step)}});
  }
  EXPECT_LT(curve.losses().size(), 512U);
  EXPECT_GE(curve.losses().size(), 255U);
  for (const CurvePoint& point : curve.losses()) EXPECT_DOUBLE_EQ(point.step, point.loss);
  EXPECT_LT(curve.losses().front().step, 300);
  EXPECT_GT(curve.losses().back().step, 99'000);
}

TEST_F(LossCurveTest, StepsThatAreDoneAgainReplaceWhatTheyWere) {
  LossCurve curve(file);
  for (const std::int64_t step : {1, 2, 3, 4}) {
    curve.add({step, {}, StepEvent{.step = step, .loss = 1}});
  }
  for (const std::int64_t step : {3, 4, 5}) {
    curve.add({step, {}, StepEvent{.step = step, .loss = 2}});
  }
  curve.add({9, {}, StepEvent{.step = 6, .loss = std::nan("")}});
  std::vector<double> steps, losses;
  for (const CurvePoint& point : curve.losses()) {
    steps.push_back(point.step);
    losses.push_back(point.loss);
  }
  EXPECT_EQ(steps, (std::vector<double>{1, 2, 3, 4, 5}));
  EXPECT_EQ(losses, (std::vector<double>{1, 1, 2, 2, 2}));
}

TEST_F(LossCurveTest, ReadsEachCompleteLineOnceWhateverElseIsInTheFile) {
  LossCurve curve(file);
  curve.read_new();
  EXPECT_TRUE(curve.losses().empty());
  std::string text = step_line(1, 3.0) + "rubbish\n" + std::string(200'000, 'x') + "\n";
  const std::string half = step_line(2, 2.0);
  put("events.jsonl", text + half.substr(0, 20));
  curve.read_new();
  EXPECT_EQ(curve.losses().size(), 1U);
  text += half;
  for (std::int64_t step = 3; step <= 400; ++step) text += step_line(step, 1.0);
  put("events.jsonl", text);
  curve.read_new();
  curve.read_new();
  EXPECT_EQ(curve.losses().size(), 400U);
}

TEST_F(LossCurveTest, DrawsEvenOnePointAndEqualOnes) {
  LossCurve curve(file);
  EXPECT_EQ(curve_svg(curve), "");
  curve.add({1, {}, StepEvent{.step = 1, .loss = 2}});
  EXPECT_THAT(curve_svg(curve), testing::HasSubstr("<polyline"));
  curve.add({2, {}, StepEvent{.step = 2, .loss = 2}});
  curve.add({3, {}, EvaluatedEvent{.step = 2, .loss = 2}});
  const std::string svg = curve_svg(curve);
  EXPECT_THAT(svg, testing::HasSubstr("<circle"));
  EXPECT_THAT(svg, testing::Not(testing::HasSubstr("nan")));
  EXPECT_THAT(svg, testing::Not(testing::HasSubstr("inf")));
}

}  // namespace
}  // namespace mayfly
