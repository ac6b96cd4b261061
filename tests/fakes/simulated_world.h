// A whole run without processes, disks or networks: trainer, disk, hub and provider as small
// models, and faults chosen by a seed. Time passes in the simulation only.
//
// The agent can die at every moment: before and after each look, note, save and act. What is
// "durable" here survives that; everything else is lost.
#pragma once

#include <csignal>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "agent/loop.h"
#include "agent/state_json.h"
#include "core/json.h"

namespace mayfly {

// The agent was killed with -9.
struct AgentKilled {};

struct SimulatedFaults {
  double agent_dies = 0;        // per moment
  double trainer_dies = 0;      // per turn
  double trainer_hangs = 0;     // per turn
  bool trainer_deaf = false;    // to SIGTERM
  bool trainer_undead = false;  // SIGKILL has no effect: frozen in a driver
  double upload_fails = 0;      // per try: a transient error
  double upload_lies = 0;       // per try: an answer, and the listing disagrees
  bool upload_hangs = false;    // one upload never ends
  bool token_refused = false;
  double destroy_fails = 0;    // per call: 5xx
  double destroy_ignored = 0;  // per call: accepted, and nothing happens
  double disk_full = 0;        // per write
  double clock_jumps = 0;      // per turn, of the wall clock, up to a day
  double asked_to_stop = 0;    // per turn: launch down or SIGTERM
};

class SimulatedWorld final : public World {
 public:
  static constexpr std::int64_t kStepsPerEpoch = 20;

  SimulatedWorld(AgentPolicy policy, SimulatedFaults faults, unsigned seed, std::int64_t epochs)
      : policy_(std::move(policy)),
        faults_(faults),
        random_(seed),
        steps_(epochs * kStepsPerEpoch) {}

  // ---- the loop's side ----

  Observation observe() override {
    moment();
    Observation seen;
    seen.now = WallTime(age_ + jumped_);
    seen.age = age_;
    seen.agent_started = std::exchange(agent_started_, false);
    seen.trainer = trainer_view();
    seen.events.assign(events_.begin() + read_events_, events_.end());
    read_events_ = static_cast<std::int64_t>(events_.size());
    seen.fetch = fetch_view();
    seen.uploads = finished_uploads();
    if (happens(faults_.asked_to_stop, "asked to stop")) {
      if (random_() % 2 == 0) {
        seen.terminations = 1;
      } else {
        requests_.push_back({RequestKind::down, "simulation", seen.now, "r.json"});
      }
    }
    seen.requests = requests_;
    if (seen.trainer.kind != TrainerView::Kind::running && !checkpoints_.empty()) {
      const std::int64_t newest = *checkpoints_.rbegin();
      seen.newest_checkpoint = NewestCheckpoint{folder_of(newest), newest};
    }
    seen.fuse_moved = std::exchange(fuse_moved_, std::nullopt);
    seen.destroy = std::exchange(destroy_answer_, std::nullopt);
    seen.instance = std::exchange(instance_look_, std::nullopt);
    if (seen.agent_started) seen.instance = Result<InstanceState>(instance_);
    moment();
    return seen;
  }

  Status note(const std::string& decision) override {
    moment();
    if (happens(faults_.disk_full, "disk full")) return Error{ErrorKind::no_space, "full"};
    journal.push_back(decision);
    moment();
    return Unit{};
  }

  Status save(const AgentState& state) override {
    moment();
    if (happens(faults_.disk_full, "disk full")) return Error{ErrorKind::no_space, "full"};
    saved_ = json_line(memory_to_json({"run", {"boot", SteadyTime(age_), age_}, state}));
    moment();
    return Unit{};
  }

  void act(const Action& action, const AgentState& state) override {
    moment();
    carry_out(action, state);
    moment();
  }

  // ---- the test's side ----

  // What a new life of the agent begins with.
  AgentState reborn() {
    agent_started_ = true;
    read_events_ = 0;
    in_flight_.clear();
    fetching_since_.reset();
    fetched_ = false;
    destroy_answer_.reset();
    instance_look_.reset();
    if (saved_.empty()) return {};
    const auto json = parse_json(saved_, "state");
    return memory_from_json(*json)->state;
  }

  // Whether the instance still exists, and the agent on it.
  bool machine_runs() const {
    return !ended_at_;
  }
  Age age() const {
    return age_;
  }
  std::optional<Age> ended_at() const {
    return ended_at_;
  }

  void pass(Age time) {
    age_ += time;
    if (happens(faults_.clock_jumps, "clock jump")) {
      jumped_ = Age(static_cast<std::int64_t>(random_() % 172'800'000) - 86'400'000);
    }
    if (trainer_alive_) run_trainer();
    if (ending_since_ && age_ - *ending_since_ >= std::chrono::seconds(20) && !ended_at_) {
      ended_at_ = age_;
      instance_ = InstanceState::gone;
      trainer_alive_ = false;
    }
  }

  // From now on nothing goes wrong any more.
  void heal() {
    const bool undead = faults_.trainer_undead;
    faults_ = {};
    faults_.trainer_undead = undead;
  }

  std::vector<std::string> journal;
  std::map<std::string, std::int64_t> hub;  // branch -> step whose files it really has
  std::set<std::string> released;
  std::vector<std::string> broken;  // invariants, in words
  std::map<std::string, int> fired;
  bool adapter = false;
  bool destroying_saved = false;

 private:
  struct Flight {
    std::string label;
    std::int64_t step = 0;
    Age done_at{};
    int outcome = 0;  // 0: good, 1: transient error, 2: the listing disagrees, 3: refused, 4: hangs
  };

  double chance() {
    return std::uniform_real_distribution<double>(0, 1)(random_);
  }
  bool happens(double probability, const char* what) {
    if (probability <= 0 || chance() >= probability) return false;
    ++fired[what];
    return true;
  }
  void moment() {
    if (happens(faults_.agent_dies, "agent killed")) throw AgentKilled{};
  }
  static std::string folder_of(std::int64_t step) {
    return "checkpoints/checkpoint-" + std::to_string(step);
  }
  void say(EventBody body) {
    events_.push_back({static_cast<std::int64_t>(events_.size()), WallTime(age_), std::move(body)});
  }

  TrainerView trainer_view() const {
    if (trainer_alive_) return {TrainerView::Kind::running, {}};
    if (!trainer_was_) return {};
    return {TrainerView::Kind::exited, trainer_code_};
  }

  FetchView fetch_view() {
    FetchView view;
    if (fetching_since_ && age_ - *fetching_since_ > std::chrono::seconds(30)) fetched_ = true;
    if (fetching_since_) view.kind = FetchView::Kind::running;
    if (fetched_) view.kind = FetchView::Kind::done;
    view.bytes = fetching_since_ ? (age_ - *fetching_since_).count() : 0;
    return view;
  }

  void run_trainer() {
    if (happens(faults_.trainer_dies, "trainer killed")) {
      trainer_alive_ = false;
      trainer_code_ = 137;
      return;
    }
    if (!hung_ && happens(faults_.trainer_hangs, "trainer hangs")) hung_ = true;
    if (hung_) return;
    if (stop_asked_) {
      if (step_ > 0) checkpoint(false);
      say(FinishedEvent{.steps = step_, .seconds = 0, .stopped = true, .path = ""});
      return end_trainer();
    }
    if (step_ == steps_) {
      adapter = true;
      say(FinishedEvent{.steps = step_, .seconds = 0, .stopped = false, .path = "adapter"});
      return end_trainer();
    }
    StepEvent event;
    event.step = ++step_;
    event.of = steps_;
    say(event);
    if (step_ % kStepsPerEpoch == 0) {
      checkpoint(true);
    } else if (checkpoint_asked_) {
      checkpoint(false);
    }
    checkpoint_asked_ = false;
  }
  void end_trainer() {
    trainer_alive_ = false;
    trainer_code_ = 0;
  }
  void checkpoint(bool epoch_end) {
    checkpoints_.insert(step_);
    CheckpointEvent event;
    event.step = step_;
    event.path = folder_of(step_);
    if (epoch_end) event.whole_epoch = step_ / kStepsPerEpoch;
    say(event);
  }

  std::vector<UploadResult> finished_uploads() {
    std::vector<UploadResult> results;
    std::erase_if(in_flight_, [&](const Flight& flight) {
      if (age_ < flight.done_at || flight.outcome == 4) return false;
      UploadResult result{flight.label, "commit", "hash", {}};
      if (flight.outcome == 0) hub[flight.label] = flight.step;
      if (flight.outcome == 1) result.error = Error{ErrorKind::unreachable, "503"};
      if (flight.outcome == 2) result.error = Error{ErrorKind::corrupt, "size differs"};
      if (flight.outcome == 3) result.error = Error{ErrorKind::unauthorized, "401"};
      results.push_back(std::move(result));
      return true;
    });
    return results;
  }

  void start_upload(const std::string& label, std::int64_t step) {
    Flight flight{label, step, age_ + std::chrono::seconds(2 + random_() % 20), 0};
    if (faults_.token_refused) {
      flight.outcome = 3;
      ++fired["token refused"];
    } else if (faults_.upload_hangs && random_() % 3 == 0) {
      flight.outcome = 4;
      ++fired["upload hangs"];
    } else if (happens(faults_.upload_fails, "upload fails")) {
      flight.outcome = 1;
    } else if (happens(faults_.upload_lies, "upload lies")) {
      flight.outcome = 2;
    } else if (random_() % 8 == 0) {
      hub[label] = step;  // it is there, whatever becomes of the answer
    }
    in_flight_.push_back(flight);
  }

  void carry_out(const Action& action, const AgentState& state) {
    switch (action.kind) {
      case ActionKind::start_fetch:
        fetching_since_ = age_;
        return;
      case ActionKind::start_trainer:
        if (trainer_alive_) broken.push_back("two trainers at once");
        if (destroying_saved) broken.push_back("I1: training was started again");
        trainer_alive_ = trainer_was_ = true;
        hung_ = stop_asked_ = checkpoint_asked_ = false;
        step_ = checkpoints_.empty() ? 0 : *checkpoints_.rbegin();
        say(StartedEvent{"simulated", "", "sft", "cpu", step_});
        return;
      case ActionKind::signal_trainer:
        return signal(action.signal);
      case ActionKind::send_upload:
        return start_upload(action.label, action.label == "main" ? steps_ : step_in(action.folder));
      case ActionKind::release_checkpoint:
        return release(action.folder);
      case ActionKind::send_logs:
      case ActionKind::send_status:
        start_upload(action.kind == ActionKind::send_logs ? "logs" : "status", 0);
        return;
      case ActionKind::close_request:
        requests_.clear();
        return;
      case ActionKind::move_fuse:
        fuse_moved_ = Status(Unit{});
        return;
      case ActionKind::ask_destroy:
        return terminate();
      case ActionKind::look_at_instance:
        instance_look_ = Result<InstanceState>(instance_);
        return;
      case ActionKind::write_receipt:
        if (instance_ == InstanceState::running && !ignored_) {
          broken.push_back("a receipt for an instance that nobody ended");
        }
        if (state.stage != Stage::confirming) broken.push_back("a receipt before the answer");
        return;
    }
  }

  static std::int64_t step_in(const std::string& folder) {
    return std::atoll(folder.substr(folder.rfind('-') + 1).c_str());
  }
  void release(const std::string& folder) {
    const std::int64_t step = step_in(folder);
    bool safe = step % kStepsPerEpoch != 0;  // not an epoch's end: never uploaded
    for (const auto& [label, content] : hub) safe = safe || content == step;
    if (!safe && policy_.has_hub) broken.push_back("I2: released without being safe: " + folder);
    released.insert(folder);
  }
  void signal(int number) {
    if (!trainer_alive_) return;
    if (number == SIGKILL && !faults_.trainer_undead) {
      trainer_alive_ = false;
      trainer_code_ = 137;
    }
    if (number == SIGUSR1) checkpoint_asked_ = true;
    if (number != SIGTERM || faults_.trainer_deaf) return;
    if (stop_asked_) {  // a second one ends it without saving
      trainer_alive_ = false;
      trainer_code_ = 143;
    }
    stop_asked_ = true;
  }
  void terminate() {
    if (happens(faults_.destroy_fails, "destroy fails")) {
      destroy_answer_ = DestroyAnswer{false, "503"};
      return;
    }
    destroy_answer_ = DestroyAnswer{true, "accepted"};
    if (happens(faults_.destroy_ignored, "destroy ignored")) {
      ignored_ = true;
      return;
    }
    instance_ = InstanceState::terminating;
    if (!ending_since_) ending_since_ = age_;
  }

  AgentPolicy policy_;
  SimulatedFaults faults_;
  std::mt19937 random_;

  Age age_{};
  Age jumped_{};
  std::string saved_;
  bool agent_started_ = true;
  std::int64_t read_events_ = 0;
  std::vector<Request> requests_;
  std::optional<Age> fetching_since_;
  bool fetched_ = false;
  std::vector<Flight> in_flight_;

  std::int64_t steps_;
  std::int64_t step_ = 0;
  bool trainer_alive_ = false;
  bool trainer_was_ = false;
  std::optional<int> trainer_code_;
  bool hung_ = false;
  bool stop_asked_ = false;
  bool checkpoint_asked_ = false;
  std::vector<Event> events_;
  std::set<std::int64_t> checkpoints_;

  InstanceState instance_ = InstanceState::running;
  std::optional<Age> ending_since_;
  std::optional<Age> ended_at_;
  bool ignored_ = false;
  std::optional<Status> fuse_moved_;
  std::optional<DestroyAnswer> destroy_answer_;
  std::optional<Result<InstanceState>> instance_look_;
};

}  // namespace mayfly
