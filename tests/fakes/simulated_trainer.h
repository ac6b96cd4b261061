// The trainer of a simulated run: steps, epochs, checkpoints and events in simulated seconds, and
// what can become of it. One step takes a second; every seventh is followed by an evaluation of
// twenty, in which nothing but a counter moves.
#pragma once

#include <csignal>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "agent/state.h"

namespace mayfly {

struct SimulatedTrainer {
  static constexpr std::int64_t kStepsPerEpoch = 20;
  static constexpr std::int64_t kEvaluationSeconds = 20;

  std::int64_t steps = 0;  // in all
  bool deaf = false;       // to SIGTERM
  bool undead = false;     // SIGKILL has no effect: frozen in a driver
  bool evaluates = false;

  // Durable, like the disk it stands for.
  std::vector<Event> events;
  std::set<std::int64_t> checkpoints;
  bool adapter = false;

  bool alive = false;
  bool was = false;
  std::optional<int> code;
  bool hung = false;
  std::optional<Age> hung_until;  // nullopt: for ever
  bool stop_asked = false;
  bool checkpoint_asked = false;
  int stacks = 0;  // printed
  std::int64_t step = 0;
  std::int64_t evaluated = kEvaluationSeconds;  // seconds of the evaluation under way

  static std::string folder_of(std::int64_t at) {
    return "checkpoints/checkpoint-" + std::to_string(at);
  }

  void say(Age now, EventBody body) {
    events.push_back({static_cast<std::int64_t>(events.size()), WallTime(now), std::move(body)});
  }

  void start(Age now) {
    alive = was = true;
    hung = stop_asked = checkpoint_asked = false;
    evaluated = kEvaluationSeconds;
    step = checkpoints.empty() ? 0 : *checkpoints.rbegin();
    say(now, StartedEvent{"simulated", "", "sft", "cpu", step});
  }

  void end(int with_code) {
    alive = false;
    code = with_code;
  }

  void signal(int number) {
    if (!alive) return;
    if (number == SIGKILL && !undead) end(137);
    if (number == SIGUSR1) checkpoint_asked = true;
    if (number == SIGQUIT) ++stacks;
    if (number != SIGTERM || deaf) return;
    if (stop_asked) end(143);  // a second one ends it without saving
    stop_asked = true;
  }

  // A second of its life.
  void run(Age now) {
    if (!alive) return;
    if (hung && hung_until && now >= *hung_until) hung = false;
    if (hung) return;
    if (evaluated < kEvaluationSeconds) {
      say(now, StageEvent{"evaluate", ++evaluated, kEvaluationSeconds});
      if (!stop_asked) return;
      evaluated = kEvaluationSeconds;
    }
    if (stop_asked) {
      if (step > 0) checkpoint(now, false);
      say(now, FinishedEvent{.steps = step, .seconds = 0, .stopped = true, .path = ""});
      return end(0);
    }
    if (step == steps) {
      adapter = true;
      say(now, FinishedEvent{.steps = step, .seconds = 0, .stopped = false, .path = "adapter"});
      return end(0);
    }
    take_step(now);
  }

 private:
  void take_step(Age now) {
    StepEvent event;
    event.step = ++step;
    event.of = steps;
    say(now, event);
    if (step % kStepsPerEpoch == 0) {
      checkpoint(now, true);
    } else if (checkpoint_asked) {
      checkpoint(now, false);
    }
    checkpoint_asked = false;
    if (evaluates && step % 7 == 0) evaluated = 0;
  }

  void checkpoint(Age now, bool epoch_end) {
    checkpoints.insert(step);
    CheckpointEvent event;
    event.step = step;
    event.path = folder_of(step);
    if (epoch_end) event.whole_epoch = step / kStepsPerEpoch;
    say(now, event);
  }
};

}  // namespace mayfly
