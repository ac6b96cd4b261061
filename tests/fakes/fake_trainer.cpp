// A trainer without a model: the same arguments, files, events and signals as `train sft`, and a
// number that is computed step by step instead of weights, so that a wrong resume is seen in it.
//
// The plan's generate.vars say how it behaves: steps_per_epoch, step_ms, and faults: crash_at
// (a step at which it ends with code 10 and a reason, each time), hang_at (stops reporting; 0:
// before the first word), deaf (ignores SIGTERM), evaluate_ms (how long it evaluates, in tenths of
// which it tells, after an epoch), not_finite (its weight is not a number).
#include <atomic>
#include <cmath>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <thread>

#include <nlohmann/json.hpp>

#include "core/atomic_file.h"
#include "core/json.h"
#include "core/model/safetensors.h"
#include "core/run/checkpoint_folder.h"
#include "core/run/directory.h"
#include "core/run/event.h"
#include "core/run/event_tail.h"
#include "core/run/plan.h"

namespace mayfly {
namespace {

namespace fs = std::filesystem;

std::atomic<int> stop_asked{0};
std::atomic<int> checkpoint_asked{0};

class FakeTrainer {
 public:
  FakeTrainer(RunDirectory run, RunPlan plan) : run_(std::move(run)), plan_(std::move(plan)) {
    steps_per_epoch_ = number("steps_per_epoch", 4);
    steps_ = steps_per_epoch_ * static_cast<std::int64_t>(plan_.config.train.epochs);
  }

  int train() {
    if (number("hang_at", -1) == 0) hang();
    continue_events();
    resume();
    say(StartedEvent{"fake", plan_hash(plan_), "sft", "cpu", step_});
    say(DataEvent{.examples = 8, .total_steps = steps_});
    while (step_ < steps_) {
      if (stop_asked) return stop();
      if (step_ + 1 == number("crash_at", -1)) return fail();
      if (step_ + 1 == number("hang_at", -1)) hang();
      take_step();
      const bool epoch_end = step_ % steps_per_epoch_ == 0;
      if (epoch_end) evaluate();
      if (epoch_end || checkpoint_asked.exchange(0)) save(epoch_end);
    }
    if (!publish("adapter")) return 1;
    say(FinishedEvent{.steps = steps_, .seconds = 1, .stopped = false, .path = "adapter"});
    return 0;
  }

 private:
  std::int64_t number(const char* name, std::int64_t otherwise) const {
    const auto& vars = plan_.config.generate.vars;
    const auto found = vars.find(name);
    return found == vars.end() ? otherwise : std::atoll(found->second.c_str());
  }

  void say(EventBody body) {
    SystemClock clock;
    if (!append_line(run_.events(), event_line({seq_++, clock.now(), std::move(body)}))) {
      std::exit(1);
    }
  }

  // A torn last line is cut off, as the real trainer does.
  void continue_events() {
    if (const Result<std::string> text = read_file(run_.events())) {
      const auto end = text->rfind('\n');
      fs::resize_file(run_.events(), end == std::string::npos ? 0 : end + 1);
    }
    EventTail tail(run_.events());
    if (const auto events = tail.read_new(); events && !events->empty()) {
      seq_ = events->back().seq + 1;
    }
  }

  void resume() {
    for (const auto& entry : fs::directory_iterator(run_.checkpoints())) {
      const std::string name = entry.path().filename().string();
      if (name.starts_with(".") || !check_manifest(entry.path())) continue;
      const Result<std::string> text = read_file(entry.path() / "resume.json");
      if (!text) continue;
      const Result<nlohmann::json> saved = parse_json(*text, name);
      if (!saved || (*saved)["step"].get<std::int64_t>() <= step_) continue;
      step_ = (*saved)["step"];
      weight_ = (*saved)["weight"];
    }
  }

  [[noreturn]] static void hang() {
    for (;;) std::this_thread::sleep_for(std::chrono::seconds(1));
  }

  void evaluate() {
    constexpr int kParts = 10;
    const std::int64_t all_ms = number("evaluate_ms", 0);
    for (int part = 0; all_ms > 0 && part < kParts; ++part) {
      std::this_thread::sleep_for(std::chrono::milliseconds(all_ms / kParts));
      say(StageEvent{"evaluate", part + 1, kParts});
    }
  }

  void take_step() {
    std::this_thread::sleep_for(std::chrono::milliseconds(number("step_ms", 20)));
    ++step_;
    weight_ = std::sin(weight_ * 3.7 + static_cast<double>(step_)) + 1.5;
    StepEvent event;
    event.step = step_;
    event.of = steps_;
    event.epoch = static_cast<double>(step_) / static_cast<double>(steps_per_epoch_);
    event.loss = weight_;
    event.tokens = 100;
    event.tokens_per_second = 1000;
    say(event);
  }

  Status publish(const std::string& name) {
    const fs::path target = run_.root / name;
    const fs::path fresh = target.parent_path() / ("." + target.filename().string());
    fs::remove_all(fresh);
    if (fs::exists(target)) {
      if (check_manifest(target)) return Unit{};
      fs::remove_all(target);
    }
    fs::create_directories(fresh);
    nlohmann::json saved = {{"step", step_}, {"weight", weight_}};
    if (const Status done = write_file(fresh / "resume.json", json_line(saved)); !done) return done;
    const bool broken = plan_.config.generate.vars.count("not_finite") > 0;
    const double weight = broken ? std::nan("") : weight_;
    const Status weights =
        write_safetensors(fresh / "adapter_model.safetensors",
                          {{"weight", TensorType::f64, {1}, std::as_bytes(std::span(&weight, 1))}});
    if (!weights) return weights;
    if (const Status done = write_file(fresh / "adapter_config.json", "{}"); !done) return done;
    if (const auto done = write_manifest(fresh); !done) return done.error();
    return publish_folder(fresh, target);
  }

  void save(bool epoch_end) {
    const std::string path = "checkpoints/checkpoint-" + std::to_string(step_);
    if (!publish(path)) std::exit(1);
    CheckpointEvent event;
    event.step = step_;
    event.epoch = static_cast<double>(step_) / static_cast<double>(steps_per_epoch_);
    if (epoch_end) event.whole_epoch = step_ / steps_per_epoch_;
    event.path = path;
    say(event);
  }

  int stop() {
    if (step_ > 0) save(false);
    say(FinishedEvent{.steps = step_, .seconds = 1, .stopped = true, .path = ""});
    return 0;
  }

  int fail() {
    std::cerr << "the fake trainer fails, as it was told\n";
    say(FailedEvent{"failed", "told to fail", ""});
    return 10;
  }

  RunDirectory run_;
  RunPlan plan_;
  std::int64_t seq_ = 0;
  std::int64_t step_ = 0;
  std::int64_t steps_per_epoch_ = 0;
  std::int64_t steps_ = 0;
  double weight_ = 0.5;
};

int main_of(int argc, char** argv) {
  if (argc != 4 || std::string_view(argv[1]) != "sft") return 2;
  const RunDirectory run{argv[3]};
  const Result<RunPlan> plan = read_plan(run.plan().string());
  if (!plan) {
    std::cerr << plan.error().message << "\n";
    return 2;
  }
  if (plan->config.generate.vars.count("deaf") == 0) {
    std::signal(SIGTERM, [](int) { stop_asked = 1; });
  } else {
    std::signal(SIGTERM, SIG_IGN);
  }
  std::signal(SIGUSR1, [](int) { checkpoint_asked = 1; });
  // A token in our environment would be a leak: say so where the test looks.
  if (std::getenv("HF_TOKEN") != nullptr) return 99;
  return FakeTrainer(run, *plan).train();
}

}  // namespace
}  // namespace mayfly

int main(int argc, char** argv) {
  return mayfly::main_of(argc, argv);
}
