#include "trainer/training_state.h"

#include <utility>

#include <nlohmann/json.hpp>

namespace mayfly {

namespace {

using nlohmann::json;

constexpr int kFormatVersion = 3;  // 2: steps may have been skipped; 3: how many at once

json step_json(const StepEvent& step) {
  return {{"step", step.step},
          {"of", step.of},
          {"epoch", step.epoch},
          {"loss", step.loss},
          {"learning_rate", step.learning_rate},
          {"grad_norm", step.grad_norm},
          {"tokens", step.tokens},
          {"tokens_per_second", step.tokens_per_second},
          {"memory_bytes", step.memory_bytes}};
}

StepEvent step_from(const json& from) {
  StepEvent step;
  step.step = from.at("step");
  step.of = from.at("of");
  step.epoch = from.at("epoch");
  step.loss = from.at("loss");
  step.learning_rate = from.at("learning_rate");
  step.grad_norm = from.at("grad_norm");
  step.tokens = from.at("tokens");
  step.tokens_per_second = from.at("tokens_per_second");
  step.memory_bytes = from.at("memory_bytes");
  return step;
}

json epoch_json(const EpochSummary& epoch) {
  json out = {{"epoch", epoch.epoch}, {"step", epoch.step}, {"loss", epoch.loss}};
  if (epoch.held_out_loss) out["held_out_loss"] = *epoch.held_out_loss;
  return out;
}

// Of the steps that were not skipped.
void close_epoch(TrainingState& state) {
  const auto epoch = state.whole_epoch();
  if (!epoch) return;
  if (state.loss_count > 0) {
    state.epochs.push_back({.epoch = *epoch,
                            .step = state.step,
                            .loss = state.loss_sum / static_cast<double>(state.loss_count),
                            .held_out_loss = std::nullopt});
  }
  state.loss_sum = 0;
  state.loss_count = 0;
}

}  // namespace

std::optional<std::int64_t> TrainingState::whole_epoch() const {
  if (step == 0 || step % steps_per_epoch != 0) return std::nullopt;
  return step / steps_per_epoch;
}

void note_step(TrainingState& state, const StepEvent& step, std::int64_t logging_steps) {
  state.step = step.step;
  state.skipped_in_a_row = 0;
  state.tokens += step.tokens;
  state.loss_sum += step.loss;
  ++state.loss_count;
  const bool last = step.step == state.total_steps;
  if (step.step % logging_steps == 0 || last) state.logged.push_back(step);
  close_epoch(state);
}

void note_skipped_step(TrainingState& state) {
  ++state.step;
  ++state.skipped;
  ++state.skipped_in_a_row;
  close_epoch(state);
}

bool stops_early(const TrainingState& state, const TrainConfig& train) {
  if (!train.early_stop_patience) return false;
  std::optional<double> best;
  std::int64_t without = 0;
  for (const EvaluatedEvent& evaluated : state.evaluations) {
    const bool better = !best || evaluated.loss < *best - train.early_stop_min_delta;
    if (better) best = evaluated.loss;
    without = better ? 0 : without + 1;
  }
  return without >= *train.early_stop_patience;
}

void note_evaluation(TrainingState& state, const EvaluatedEvent& evaluated) {
  auto& evaluations = state.evaluations;
  if (!evaluations.empty() && evaluations.back().step == evaluated.step) evaluations.pop_back();
  evaluations.push_back(evaluated);
  if (!state.epochs.empty() && state.epochs.back().step == evaluated.step) {
    state.epochs.back().held_out_loss = evaluated.loss;
  }
}

std::optional<double> loss_before(const TrainingState& state) {
  if (state.evaluations.empty() || state.evaluations.front().step != 0) return std::nullopt;
  return state.evaluations.front().loss;
}

std::optional<double> loss_after(const TrainingState& state) {
  if (state.evaluations.empty() || state.evaluations.back().step == 0) return std::nullopt;
  return state.evaluations.back().loss;
}

json resume_json(const TrainingState& state) {
  json out = {{"v", kFormatVersion},
              {"step", state.step},
              {"total_steps", state.total_steps},
              {"steps_per_epoch", state.steps_per_epoch},
              {"per_device_batch_size", state.per_device_batch_size},
              {"tokens", state.tokens},
              {"skipped", state.skipped},
              {"skipped_in_a_row", state.skipped_in_a_row},
              {"seconds", state.seconds},
              {"loss_sum", state.loss_sum},
              {"loss_count", state.loss_count},
              {"identity", state.identity},
              {"epochs", json::array()},
              {"evaluations", json::array()},
              {"logged", json::array()}};
  for (const EpochSummary& epoch : state.epochs) out["epochs"].push_back(epoch_json(epoch));
  for (const EvaluatedEvent& evaluated : state.evaluations) {
    out["evaluations"].push_back({{"step", evaluated.step},
                                  {"loss", evaluated.loss},
                                  {"examples", evaluated.examples},
                                  {"tokens", evaluated.tokens}});
  }
  for (const StepEvent& step : state.logged) out["logged"].push_back(step_json(step));
  return out;
}

Result<TrainingState> training_state_from_json(const json& from) {
  TrainingState state;
  try {
    if (from.at("v") != kFormatVersion) {
      return Error{ErrorKind::unsupported, "resume.json was written by another version"};
    }
    state.step = from.at("step");
    state.total_steps = from.at("total_steps");
    state.steps_per_epoch = from.at("steps_per_epoch");
    state.per_device_batch_size = from.at("per_device_batch_size");
    state.tokens = from.at("tokens");
    state.skipped = from.at("skipped");
    state.skipped_in_a_row = from.at("skipped_in_a_row");
    state.seconds = from.at("seconds");
    state.loss_sum = from.at("loss_sum");
    state.loss_count = from.at("loss_count");
    for (const char* list : {"epochs", "evaluations", "logged"}) {
      if (!from.at(list).is_array()) return Error{ErrorKind::corrupt, "resume.json: no lists"};
    }
    state.identity = from.at("identity").get<std::map<std::string, std::string>>();
    for (const json& epoch : from.at("epochs")) {
      EpochSummary summary{epoch.at("epoch"), epoch.at("step"), epoch.at("loss"), std::nullopt};
      if (epoch.contains("held_out_loss")) summary.held_out_loss = epoch["held_out_loss"];
      state.epochs.push_back(summary);
    }
    for (const json& evaluated : from.at("evaluations")) {
      state.evaluations.push_back({evaluated.at("step"), evaluated.at("loss"),
                                   evaluated.at("examples"), evaluated.at("tokens")});
    }
    for (const json& step : from.at("logged")) state.logged.push_back(step_from(step));
  } catch (const json::exception& error) {
    return Error{ErrorKind::corrupt, std::string("reading resume.json: ") + error.what()};
  }
  if (state.step < 0 || state.steps_per_epoch < 1 || state.per_device_batch_size < 1 ||
      state.step > state.total_steps || state.skipped < 0 || state.skipped > state.step ||
      state.skipped_in_a_row < 0 || state.skipped_in_a_row > state.skipped) {
    return Error{ErrorKind::corrupt, "reading resume.json: its step counts make no sense"};
  }
  return state;
}

json trainer_state_json(const TrainingState& state, const TrainConfig& train) {
  // In the order of steps, a step's evaluation after it, as transformers logs them.
  json history = json::array();
  std::size_t evaluation = 0;
  const auto add_evaluations = [&](std::int64_t before) {
    for (; evaluation < state.evaluations.size(); ++evaluation) {
      const EvaluatedEvent& evaluated = state.evaluations[evaluation];
      if (evaluated.step >= before) break;
      history.push_back({{"epoch", static_cast<double>(evaluated.step) /
                                       static_cast<double>(state.steps_per_epoch)},
                         {"eval_loss", evaluated.loss},
                         {"step", evaluated.step}});
    }
  };
  for (const StepEvent& step : state.logged) {
    add_evaluations(step.step);
    history.push_back({{"epoch", step.epoch},
                       {"grad_norm", step.grad_norm},
                       {"learning_rate", step.learning_rate},
                       {"loss", step.loss},
                       {"step", step.step}});
  }
  add_evaluations(state.total_steps + 1);

  json out = {
      {"best_global_step", nullptr},
      {"best_metric", nullptr},
      {"best_model_checkpoint", nullptr},
      {"epoch", state.epoch()},
      {"eval_steps", nullptr},
      {"global_step", state.step},
      {"is_hyper_param_search", false},
      {"is_local_process_zero", true},
      {"is_world_process_zero", true},
      {"log_history", std::move(history)},
      {"logging_steps", train.logging_steps},
      {"max_steps", state.total_steps},
      {"num_input_tokens_seen", state.tokens},
      {"num_train_epochs", (state.total_steps + state.steps_per_epoch - 1) / state.steps_per_epoch},
      {"save_steps", nullptr},
      {"stateful_callbacks", json::object()},
      {"total_flos", 0.0},
      {"train_batch_size", state.per_device_batch_size},
      {"trial_name", nullptr},
      {"trial_params", nullptr}};
  if (train.eval_steps) out["eval_steps"] = *train.eval_steps;
  if (train.save_steps) out["save_steps"] = *train.save_steps;
  return out;
}

}  // namespace mayfly
