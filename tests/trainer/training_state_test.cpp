// What could go wrong: a sum that loses its last bits in a checkpoint, so that the epoch's loss
// after resuming differs; an epoch that is closed twice or never; evaluations that appear twice.
#include "trainer/training_state.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/json.h"

namespace mayfly {
namespace {

StepEvent step(std::int64_t number, double loss) {
  StepEvent event;
  event.step = number;
  event.of = 5;
  event.epoch = static_cast<double>(number) / 2;
  event.loss = loss;
  event.tokens = 10;
  event.grad_norm = loss / 3;
  event.learning_rate = 1e-4 / 7;
  return event;
}

// Two and a half epochs of two steps.
TrainingState trained() {
  TrainingState state;
  state.total_steps = 5;
  state.steps_per_epoch = 2;
  state.identity = {{"seed", "42"}, {"data", "abc"}};
  note_evaluation(state, {0, 2.0, 4, 40});
  note_step(state, step(1, 1.0 / 3), 2);
  note_step(state, step(2, 2.0 / 3), 2);
  note_evaluation(state, {2, 1.5, 4, 40});
  note_step(state, step(3, 0.3), 2);
  return state;
}

TEST(TrainingStateTest, GivesUpAfterSoManyLossesThatAreNoBetter) {
  TrainConfig train;
  TrainingState state;
  const auto stops_after = [&](std::int64_t at, double loss) {
    note_evaluation(state, {at, loss, 4, 40});
    return stops_early(state, train);
  };
  EXPECT_FALSE(stops_after(0, 2.0));
  EXPECT_FALSE(stops_after(2, 2.0));
  EXPECT_FALSE(stops_after(4, 2.0));  // nobody asked
  train.early_stop_patience = 3;
  EXPECT_FALSE(stops_early(state, train));
  EXPECT_TRUE(stops_after(6, 2.5));
  EXPECT_FALSE(stops_after(6, 1.9));  // taken again at the same step
  train.early_stop_min_delta = 0.1;
  EXPECT_TRUE(stops_early(state, train));  // 1.9 is not more than 0.1 below 2.0
  EXPECT_FALSE(stops_after(8, 1.8));
}

TEST(TrainingStateTest, AnEpochOfSkippedStepsHasNoLoss) {
  TrainingState state;
  state.total_steps = 4;
  state.steps_per_epoch = 2;
  note_skipped_step(state);
  note_skipped_step(state);
  EXPECT_TRUE(state.epochs.empty());
  note_skipped_step(state);
  note_step(state, step(4, 0.5), 2);
  ASSERT_EQ(state.epochs.size(), 1U);
  EXPECT_EQ(state.epochs[0].epoch, 2);
  EXPECT_EQ(state.epochs[0].loss, 0.5);
}

TEST(TrainingStateTest, ClosesEachEpochWithItsMeanLoss) {
  TrainingState state = trained();
  ASSERT_EQ(state.epochs.size(), 1U);
  EXPECT_EQ(state.epochs[0].epoch, 1);
  EXPECT_EQ(state.epochs[0].step, 2);
  EXPECT_EQ(state.epochs[0].loss, (1.0 / 3 + 2.0 / 3) / 2);
  EXPECT_EQ(state.epochs[0].held_out_loss, 1.5);
  EXPECT_EQ(state.whole_epoch(), std::nullopt);
  note_step(state, step(4, 0.1), 2);
  EXPECT_EQ(state.whole_epoch(), 2);
  EXPECT_EQ(state.epochs.at(1).loss, (0.3 + 0.1) / 2);
  note_step(state, step(5, 0.2), 2);
  EXPECT_EQ(state.whole_epoch(), std::nullopt);
  EXPECT_EQ(state.epoch(), 2.5);
  EXPECT_EQ(state.epochs.size(), 2U);
  EXPECT_EQ(state.tokens, 50);
}

TEST(TrainingStateTest, LogsEveryNthStepAndTheLast) {
  TrainingState state = trained();
  note_step(state, step(4, 0.1), 2);
  note_step(state, step(5, 0.1), 2);
  std::vector<std::int64_t> steps;
  for (const StepEvent& logged : state.logged) steps.push_back(logged.step);
  EXPECT_EQ(steps, (std::vector<std::int64_t>{2, 4, 5}));
}

TEST(TrainingStateTest, ComesBackFromJsonWithEveryBit) {
  const TrainingState state = trained();
  const auto json = parse_json(json_line(resume_json(state)), "resume.json");
  ASSERT_TRUE(json);
  Result<TrainingState> read = training_state_from_json(*json);
  ASSERT_TRUE(read);
  EXPECT_EQ(resume_json(*read), resume_json(state));
  // The rest of the run gives the same from both.
  TrainingState straight = state;
  for (TrainingState* s : {&straight, &*read}) {
    note_step(*s, step(4, 1.0 / 7), 2);
    note_evaluation(*s, {4, 1.1, 4, 40});
  }
  EXPECT_EQ(straight.epochs.at(1).loss, read->epochs.at(1).loss);
  EXPECT_EQ(loss_before(*read), 2.0);
  EXPECT_EQ(loss_after(*read), 1.1);
}

TEST(TrainingStateTest, AnEvaluationMadeAgainReplacesTheFirst) {
  TrainingState state = trained();
  note_evaluation(state, {3, 1.4, 4, 40});
  note_evaluation(state, {3, 1.4, 4, 40});
  EXPECT_EQ(state.evaluations.size(), 3U);
}

TEST(TrainingStateTest, HasNoLossAfterUntilThereIsOne) {
  TrainingState state;
  EXPECT_FALSE(loss_before(state) || loss_after(state));
  note_evaluation(state, {0, 2.0, 4, 40});
  EXPECT_TRUE(loss_before(state));
  EXPECT_FALSE(loss_after(state));
}

TEST(TrainingStateTest, RefusesWhatIsNotOne) {
  nlohmann::json good = resume_json(trained());
  for (const auto& [key, value] : good.items()) {
    nlohmann::json bad = good;
    bad.erase(key);
    EXPECT_FALSE(training_state_from_json(bad)) << "without " << key;
    bad[key] = nullptr;
    EXPECT_FALSE(training_state_from_json(bad)) << "null " << key;
  }
  good["step"] = 6;  // beyond total_steps
  EXPECT_FALSE(training_state_from_json(good));
}

TEST(TrainingStateTest, ItsHistoryIsInTheOrderOfSteps) {
  const nlohmann::json json = trainer_state_json(trained(), TrainConfig{});
  const auto& history = json.at("log_history");
  ASSERT_EQ(history.size(), 3U);
  EXPECT_EQ(history[0].at("step"), 0);
  EXPECT_EQ(history[0].at("eval_loss"), 2.0);
  EXPECT_EQ(history[1].at("step"), 2);
  EXPECT_TRUE(history[1].contains("loss"));
  EXPECT_EQ(history[2].at("eval_loss"), 1.5);
  EXPECT_EQ(json.at("global_step"), 3);
  EXPECT_EQ(json.at("num_train_epochs"), 3);
}

}  // namespace
}  // namespace mayfly
