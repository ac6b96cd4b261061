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

#include "agent/age.h"
#include "agent/decision_record.h"
#include "agent/journal.h"
#include "agent/loop.h"
#include "agent/state_json.h"
#include "agent/true_time.h"
#include "core/json.h"
#include "tests/fakes/simulated_trainer.h"

namespace mayfly {

// The agent was killed with -9.
struct AgentKilled {};

struct SimulatedFaults {
  double agent_dies = 0;         // per moment
  double journal_torn = 0;       // per note: killed in the middle of the line
  double reboots = 0;            // per turn
  double trainer_dies = 0;       // per turn
  double trainer_hangs = 0;      // per turn: for ever, or for less than a stall
  bool trainer_deaf = false;     // to SIGTERM
  bool trainer_undead = false;   // to SIGKILL
  double upload_fails = 0;       // per try: 5xx
  double upload_unanswered = 0;  // per try: it is there, and the answer is lost
  double upload_lies = 0;        // per try: an answer, and the listing disagrees
  bool upload_hangs = false;     // one in three never ends
  bool token_refused = false;    // by the hub, from the beginning
  Age token_revoked_at = kNever;
  double destroy_fails = 0;       // per call: 5xx
  double destroy_unanswered = 0;  // per call: it takes effect, and the answer is lost
  double destroy_ignored = 0;     // per call: accepted, and nothing happens
  double look_fails = 0;          // per look at the provider's listing
  bool late_listing = false;      // a minute behind
  double disk_full = 0;           // per write: ENOSPC in files that grow
  Age disk_dead_at = kNever;      // EIO from then on, in all files
  double clock_jumps = 0;         // per turn, of the wall clock, up to a day
  double asked_to_stop = 0;       // per turn: launch down, SIGTERM, at once or not
  double asked_to_extend = 0;     // per turn
  double fuse_stuck = 0;          // per move
  Age reclaim_at = kNever;        // the provider's notice; two minutes later it takes the machine
};

class SimulatedWorld final : public World {
 public:
  static constexpr std::int64_t kStepsPerEpoch = SimulatedTrainer::kStepsPerEpoch;

  SimulatedWorld(AgentPolicy policy, SimulatedFaults faults, unsigned seed, std::int64_t epochs)
      : policy_(std::move(policy)),
        faults_(faults),
        random_(seed),
        hubs(static_cast<std::size_t>(policy_.sinks)) {
    trainer.steps = epochs * kStepsPerEpoch;
    trainer.deaf = faults.trainer_deaf;
    trainer.undead = faults.trainer_undead;
    trainer.evaluates = random_() % 2 == 0;
    if (trainer.deaf) ++fired["trainer deaf"];
    if (trainer.undead) ++fired["trainer undead"];
    begin_to_count(std::nullopt);
  }
  SimulatedWorld(const SimulatedWorld&) = delete;
  SimulatedWorld& operator=(const SimulatedWorld&) = delete;

  // ---- the loop's side ----

  Observation observe() override {
    moment();
    if (!begun_) {
      begun_ = true;
      (void)journal_write(begin_record(policy_, "simulated", clock_.now(), meter_->age()));
    }
    Observation seen;
    seen.now = clock_.now();
    seen.age = believed_age();
    seen.agent_started = std::exchange(agent_started_, false);
    seen.trainer = trainer_view();
    seen.events.assign(trainer.events.begin() + read_events_, trainer.events.end());
    read_events_ = static_cast<std::int64_t>(trainer.events.size());
    seen.self_tests = self_tests();
    seen.fetch = fetch_view();
    seen.uploads = finished_uploads();
    add_requests(seen);
    if (age_ >= faults_.reclaim_at && !std::exchange(notice_seen_, true)) {
      ++fired["reclaimed"];
      notice_at = age_;
    }
    seen.reclaim_notice = notice_at.has_value();
    if (!trainer.alive && !trainer.checkpoints.empty()) {
      const std::int64_t newest = *trainer.checkpoints.rbegin();
      seen.newest_checkpoint = NewestCheckpoint{SimulatedTrainer::folder_of(newest), newest};
    }
    seen.fuse_moved = std::exchange(fuse_moved_, std::nullopt);
    seen.destroy = std::exchange(destroy_answer_, std::nullopt);
    seen.instance = std::exchange(instance_look_, std::nullopt);
    if (seen.agent_started) seen.instance = listing();
    moment();
    return seen;
  }

  Status note(const std::string& decision) override {
    moment();
    last_noted_ = decision;
    const Status written = journal_write(decision);
    moment();
    return written;
  }

  Status save(const AgentState& state) override {
    moment();
    const bool durable = can_write();
    if (durable) {
      saved_ = json_line(memory_to_json({"run", meter_->mark(), state}));
      if (is_ending(state.stage)) destroying_saved = true;
    }
    moment();
    if (!durable) return Error{ErrorKind::corrupt, "EIO"};
    return Unit{};
  }

  void act(const Action& action, const AgentState& state) override {
    moment();
    // I7: what is done stands in a decision that was noted before, wherever the disk took it.
    if (last_noted_.find(json_line(action_text(action))) == std::string::npos) {
      broken.push_back("I7: not noted: " + action_text(action));
    }
    carry_out(action, state);
    moment();
  }

  // ---- the test's side ----

  // What a new life of the agent begins with.
  AgentState reborn() {
    agent_started_ = true;
    begun_ = false;
    last_noted_.clear();
    read_events_ = 0;
    in_flight_.clear();
    tests_done_at_.reset();
    fetching_since_.reset();
    fetched_ = false;
    fuse_moved_.reset();
    destroy_answer_.reset();
    instance_look_.reset();
    if (saved_.empty()) {
      begin_to_count(std::nullopt);
      return {};
    }
    const auto json = parse_json(saved_, "state");
    const AgentMemory memory = *memory_from_json(*json);
    begin_to_count(memory.mark);
    return memory.state;
  }

  // Whether the instance still exists, and the agent on it.
  bool machine_runs() const {
    return !ended_at_;
  }
  Age age() const {
    return age_;
  }
  // What the agent takes it for, and by how much that was ever too little.
  Age believed_age() {
    const Age believed = meter_->age();
    if (age_ - believed > kLifeTick) broken.push_back("T7: the instance was made younger");
    if (believed - age_ > kUnseenStart) broken.push_back("T7: the instance was made older");
    behind = std::max(behind, age_ - believed);
    return believed;
  }
  std::optional<Age> ended_at() const {
    return ended_at_;
  }

  void pass(Age time) {
    age_ += time;
    if (happens(faults_.clock_jumps, "clock jump")) {
      jumped_ = Age(static_cast<std::int64_t>(random_() % 172'800'000) - 86'400'000);
    }
    if (trainer.alive && happens(faults_.trainer_dies, "trainer killed")) trainer.end(137);
    if (trainer.alive && !trainer.hung && happens(faults_.trainer_hangs, "trainer hangs")) {
      trainer.hung = true;
      trainer.hung_until.reset();
      if (random_() % 2 == 0) {
        trainer.hung_until = age_ + std::chrono::seconds(10 + random_() % 200);
        ++fired["trainer pauses"];
      }
    }
    trainer.run(age_);
    const bool ending = ending_since_ && age_ - *ending_since_ >= std::chrono::seconds(20);
    const bool taken = notice_at && age_ - *notice_at >= std::chrono::seconds(120);
    if ((ending || taken) && !ended_at_) {
      ended_at_ = age_;
      instance_ = InstanceState::gone;
      trainer.end(137);
    }
  }

  // Whether the machine boots now; then its agent is dead, and the trainer too.
  bool reboots() {
    if (!happens(faults_.reboots, "reboot")) return false;
    if (trainer.alive) trainer.end(137);
    trainer.was = false;
    ++boots_;
    booted_at_ = age_;
    return true;
  }

  // From now on nothing goes wrong any more, but what is broken stays so.
  void heal() {
    const SimulatedFaults before = faults_;
    faults_ = {};
    faults_.disk_dead_at = before.disk_dead_at;
    faults_.token_refused = before.token_refused;
    faults_.token_revoked_at = before.token_revoked_at;
  }

  SimulatedTrainer trainer;
  std::string journal;  // decisions.jsonl
  int torn = 0;         // lines of it that a kill cut short
  std::set<std::string> released;
  std::vector<std::string> broken;  // invariants, in words
  std::map<std::string, int> fired;
  bool destroying_saved = false;
  std::optional<Age> asked_at;   // the first destroy call, whatever became of it
  std::optional<Age> notice_at;  // of reclaiming
  Age refused_for{};             // what destroying took because the provider failed
  AgentState most_extended;      // its limits alone: as far as they were ever raised
  Age behind{};                  // by which the agent took the instance for too young

 private:
  // The machine's two clocks: one that can be set, and one since this boot.
  class MachineClock final : public Clock {
   public:
    explicit MachineClock(const SimulatedWorld& world) : world_(world) {}
    WallTime now() override {
      return WallTime(world_.age_ + world_.jumped_);
    }
    SteadyTime steady_now() override {
      return SteadyTime(world_.age_ - world_.booted_at_);
    }
    void sleep_for(std::chrono::milliseconds) override {}

   private:
    const SimulatedWorld& world_;
  };

  static constexpr Age kLifeTick = std::chrono::seconds(30);  // of the boot fuse

  // As agent/machine.cpp: the wall clock is asked by the first life of a boot, and not alone.
  void begin_to_count(const std::optional<AgeMark>& saved) {
    const std::string boot = "boot-" + std::to_string(boots_);
    FirstAge first;
    if (!saved || saved->boot_id != boot) {
      std::vector<TimeReading> others;
      if (random_() % 4 != 0) others.push_back({"hub", WallTime(age_)});
      const Age tick(static_cast<std::int64_t>(random_() % kLifeTick.count()));
      first = first_age(WallTime{}, clock_.now(), others, std::max(Age::zero(), age_ - tick));
      if (!first.alarm.empty()) ++fired["clock alarm"];
    }
    meter_.emplace(clock_.now() - first.age, saved, boot, clock_);
  }

  struct Flight {
    std::string label;
    int sink = 0;
    std::int64_t step = 0;
    Age done_at{};
    enum class Outcome { good, fails, lies, refused, hangs } outcome = Outcome::good;
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

  // ---- the disk ----

  bool disk_dead() {
    if (age_ < faults_.disk_dead_at) return false;
    ++fired["disk dead"];
    return true;
  }
  // state.json, or else the reserve, whose room was taken when there was some.
  bool can_write() {
    (void)happens(faults_.disk_full, "disk full");
    return !disk_dead();
  }
  Status journal_write(const std::string& object) {
    const std::string line = sealed_line(object);
    if (happens(faults_.journal_torn, "journal torn")) {
      journal += line.substr(0, random_() % line.size()) + "\n";  // the next append ends it so
      ++torn;
      throw AgentKilled{};
    }
    if (happens(faults_.disk_full, "disk full") || disk_dead()) {
      return Error{ErrorKind::no_space, "refused"};
    }
    journal += line + "\n";
    return Unit{};
  }

  // ---- what is seen ----

  TrainerView trainer_view() const {
    if (trainer.alive) return {TrainerView::Kind::running, {}};
    if (!trainer.was) return {};
    return {TrainerView::Kind::exited, trainer.code};
  }

  bool token_works(int sink) {
    if (sink > 0) return true;
    if (faults_.token_refused) ++fired["token refused"];
    const bool revoked = age_ >= faults_.token_revoked_at;
    if (revoked) ++fired["token revoked"];
    return !faults_.token_refused && !revoked;
  }

  SelfTestView self_tests() {
    if (!tests_done_at_) return {};
    if (age_ < *tests_done_at_) return {SelfTestView::Kind::running, {{"destroy", {}}}};
    SelfTestView view{SelfTestView::Kind::done, {{"destroy", {}}, {"disk", {}}, {"fuse", {}}}};
    if (happens(faults_.look_fails, "look fails")) {
      view.results[0].error = Error{ErrorKind::unreachable, "503"};
    }
    if (policy_.has_hub) view.results.push_back({"hub", {}});
    if (policy_.has_hub && !token_works(0)) {
      view.results.back().error = Error{ErrorKind::unauthorized, "401"};
    } else if (policy_.has_hub && happens(faults_.upload_fails, "upload fails")) {
      view.results.back().error = Error{ErrorKind::unreachable, "503"};
    }
    return view;
  }

  FetchView fetch_view() {
    FetchView view;
    if (fetching_since_ && age_ - *fetching_since_ > std::chrono::seconds(30)) fetched_ = true;
    if (fetching_since_) view.kind = FetchView::Kind::running;
    if (fetched_) view.kind = FetchView::Kind::done;
    view.bytes = fetching_since_ ? (age_ - *fetching_since_).count() : 0;
    return view;
  }

  void add_requests(Observation& seen) {
    const auto file = [&] { return "r" + std::to_string(++requests_made_) + ".json"; };
    if (happens(faults_.asked_to_stop, "asked to stop")) {
      const auto how = static_cast<int>(random_() % 5);
      if (how < 2) seen.terminations = 1 + how;
      const RequestKind kind = how == 4 ? RequestKind::down_now : RequestKind::down;
      if (how >= 2) requests_.push_back({kind, "simulation", seen.now, file(), 0, {}});
    }
    if (happens(faults_.asked_to_extend, "asked to extend")) {
      const double minutes = random_() % 2 == 0 ? 0 : 5;
      requests_.push_back({RequestKind::extend, "simulation", seen.now, file(), minutes,
                           dollars(static_cast<std::int64_t>(random_() % 3))});
    }
    seen.requests = requests_;
  }

  // As the provider lists it, which may be what was true a minute ago.
  Result<InstanceState> listing() {
    if (happens(faults_.look_fails, "look fails")) return Error{ErrorKind::unreachable, "503"};
    const Age changed = ended_at_ ? *ended_at_ : ending_since_.value_or(Age::zero());
    if (faults_.late_listing && age_ - changed < std::chrono::seconds(60)) {
      ++fired["late listing"];
      if (!ending_since_) return Error{ErrorKind::not_found, "not listed yet"};
      return InstanceState::running;
    }
    return instance_;
  }

  // ---- uploads ----

  std::vector<UploadResult> finished_uploads() {
    std::vector<UploadResult> results;
    std::erase_if(in_flight_, [&](const Flight& flight) {
      if (age_ < flight.done_at || flight.outcome == Flight::Outcome::hangs) return false;
      UploadResult result;
      result.label = flight.label;
      result.sink = flight.sink;
      result.commit = "commit";
      result.files_sha256 = "hash";
      switch (flight.outcome) {
        case Flight::Outcome::good:
          hubs[static_cast<std::size_t>(flight.sink)][flight.label] = flight.step;
          break;
        case Flight::Outcome::lies:
          result.error = Error{ErrorKind::corrupt, "size differs"};
          break;
        case Flight::Outcome::refused:
          result.error = Error{ErrorKind::unauthorized, "401"};
          break;
        default:
          result.error = Error{ErrorKind::unreachable, "503"};
      }
      results.push_back(std::move(result));
      return true;
    });
    return results;
  }

  void start_upload(const std::string& label, int sink, std::int64_t step) {
    Flight flight{label, sink, step, age_ + std::chrono::seconds(2 + random_() % 20),
                  Flight::Outcome::good};
    if (!token_works(sink)) {
      flight.outcome = Flight::Outcome::refused;
    } else if (faults_.upload_hangs && sink == 0 && random_() % 3 == 0) {
      flight.outcome = Flight::Outcome::hangs;
      ++fired["upload hangs"];
    } else if (happens(faults_.upload_fails, "upload fails")) {
      flight.outcome = Flight::Outcome::fails;
    } else if (happens(faults_.upload_unanswered, "upload unanswered")) {
      flight.outcome = Flight::Outcome::fails;
      hubs[static_cast<std::size_t>(sink)][label] = step;
    } else if (happens(faults_.upload_lies, "upload lies")) {
      flight.outcome = Flight::Outcome::lies;
    }
    if (sink > 0) ++fired["second sink"];
    in_flight_.push_back(flight);
  }

  // ---- what is done ----

  void carry_out(const Action& action, const AgentState& state) {
    switch (action.kind) {
      case ActionKind::start_self_tests:
        tests_done_at_ = age_ + std::chrono::seconds(1 + random_() % 9);
        return;
      case ActionKind::start_fetch:
        fetching_since_ = age_;
        return;
      case ActionKind::start_trainer:
        if (trainer.alive) broken.push_back("two trainers at once");
        if (destroying_saved) broken.push_back("I1: training was started again");
        trainer.start(age_);
        return;
      case ActionKind::signal_trainer:
        if (action.signal == SIGKILL && state.stage == Stage::training && trainer.alive &&
            !trainer.hung) {
          broken.push_back("a trainer that worked was killed");
        }
        return trainer.signal(action.signal);
      case ActionKind::send_upload:
        return start_upload(action.label, action.sink,
                            action.label == "main" ? trainer.steps : step_in(action.folder));
      case ActionKind::release_checkpoint:
        return release(action.folder);
      case ActionKind::send_logs:
      case ActionKind::send_status:
        return start_upload(action.kind == ActionKind::send_logs ? "logs" : "status", 0, 0);
      case ActionKind::close_request:
        std::erase_if(requests_, [&](const Request& r) { return r.file == action.request->file; });
        return;
      case ActionKind::move_fuse:
        fuse_moved_ = happens(faults_.fuse_stuck, "fuse stuck")
                          ? Status(Error{ErrorKind::refused, "stuck"})
                          : Status(Unit{});
        return;
      case ActionKind::ask_destroy:
        return terminate();
      case ActionKind::look_at_instance:
        instance_look_ = listing();
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
    for (const auto& hub : hubs) {
      for (const auto& [label, content] : hub) safe = safe || content == step;
    }
    if (!safe && policy_.has_hub) broken.push_back("I2: released without being safe: " + folder);
    released.insert(folder);
  }

  void terminate() {
    if (!asked_at) asked_at = age_;
    if (happens(faults_.destroy_fails, "destroy fails")) {
      destroy_answer_ = DestroyAnswer{false, "503"};
      return;
    }
    if (happens(faults_.destroy_ignored, "destroy ignored")) {
      destroy_answer_ = DestroyAnswer{true, "accepted"};
      ignored_ = true;
      return;
    }
    const bool unanswered = happens(faults_.destroy_unanswered, "destroy unanswered");
    destroy_answer_ = unanswered ? DestroyAnswer{false, "reset"} : DestroyAnswer{true, "accepted"};
    instance_ = InstanceState::terminating;
    if (ending_since_) return;
    ending_since_ = age_;
    refused_for = age_ - *asked_at;
  }

  AgentPolicy policy_;
  SimulatedFaults faults_;
  std::mt19937 random_;

  Age age_{};
  Age jumped_{};
  int boots_ = 0;
  Age booted_at_{};
  MachineClock clock_{*this};
  std::optional<AgeMeter> meter_;
  std::string saved_;
  std::string last_noted_;
  bool agent_started_ = true;
  bool begun_ = false;
  std::int64_t read_events_ = 0;
  std::vector<Request> requests_;
  int requests_made_ = 0;
  bool notice_seen_ = false;
  std::optional<Age> tests_done_at_;
  std::optional<Age> fetching_since_;
  bool fetched_ = false;
  std::vector<Flight> in_flight_;

  InstanceState instance_ = InstanceState::running;
  std::optional<Age> ending_since_;
  std::optional<Age> ended_at_;
  bool ignored_ = false;
  std::optional<Status> fuse_moved_;
  std::optional<DestroyAnswer> destroy_answer_;
  std::optional<Result<InstanceState>> instance_look_;

 public:
  // Of each sink: branch -> step whose files it really has.
  std::vector<std::map<std::string, std::int64_t>> hubs;
};

}  // namespace mayfly
