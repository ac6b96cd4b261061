// The agent's brain: what it knows, what it sees, what it does next. Pure, no I/O, no clock.
//
//   arming -> fetching -> training -> saving -> uploading -> destroying -> confirming
//                                                   `-> kept -'
//
// The order of trust: the money first (a deadline wins over everything), then the work (nothing is
// destroyed while something complete is not on the hub and there is time), then speed.
//
// Invariants, checked by tests/agent/simulate_test.cpp:
//   I1 destroying is never left but for confirming, and back.
//   I2 a checkpoint is released for deletion only when it is safe or is never to be uploaded.
//   I3 past the hard deadline no stage is held but destroying and confirming.
//   I4 safe is said only after the hub's own listing agreed.
//   I6 no wait for a child's death is without a limit.
// I7 (journal before act) and I8 (a full disk blocks nothing) belong to agent/loop.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "agent/action.h"
#include "agent/limits.h"
#include "core/provider/provider.h"
#include "core/result.h"
#include "core/run/event.h"
#include "core/run/request.h"

namespace mayfly {

enum class Stage { arming, fetching, training, saving, uploading, kept, destroying, confirming };
std::string_view stage_name(Stage stage);
// Destroying or confirming: nothing else will happen to this instance.
constexpr bool is_ending(Stage stage) {
  return stage == Stage::destroying || stage == Stage::confirming;
}

// What does not change during a run.
struct AgentPolicy {
  LimitPolicy limit;
  bool has_hub = false;
  int sinks = 1;  // places to upload to, tried in order; the first one is the hub
  // What is on this machine's disk outlives the instance (provider local): nothing is lost when the
  // hub cannot be reached, so that is no reason not to begin.
  bool keeps_disk = false;
  bool push_checkpoints = true;
  std::int64_t checkpoint_every_epochs = 1;
  std::chrono::seconds status_every{900};
};

// One folder on its way to a branch.
struct Upload {
  enum class State { sending, waiting, safe, failed };
  std::string label;   // the branch: "checkpoint-epoch-2", "stopped-step-40", "main"
  std::string folder;  // relative to the run directory
  std::int64_t step = 0;
  State state = State::sending;
  int sink = 0;              // where it goes, or is
  int attempts = 0;          // at this sink
  int corrupt_answers = 0;   // of those attempts
  Age sent_at{};             // first, anywhere
  Age retry_at{};            // when waiting
  std::string commit;        // when safe
  std::string files_sha256;  // when safe: of its list of files
  std::string message;       // of the last failure
  std::string flag;          // what is wrong with what was sent (agent/adapter_check.h)
  std::optional<WallTime> at;
};

// What the events have told so far; for people, and for judging progress.
struct Progress {
  std::string stage;
  std::int64_t stage_done = 0;
  std::int64_t step = 0;
  std::int64_t total_steps = 0;
  double epoch = 0;
  std::optional<double> loss;
  std::optional<double> held_out;
  std::optional<double> held_out_before;
  double tokens_per_second = 0;
  std::optional<double> seconds_per_step;  // smoothed
  std::optional<WallTime> last_step_at;    // of this life of the trainer
};

struct AgentState {
  Stage stage = Stage::arming;
  Age entered_at{};  // the stage
  StopReason reason = StopReason::none;
  std::string detail;
  std::optional<int> exit_code;

  Usd extra_spend;  // by which the plan's limits were raised
  Age extra_time{};
  std::vector<std::string> extensions;  // the requests that were answered, by file name
  std::string fuse_asked;               // the request for whose sake the fuse is being moved

  bool tests_started = false;  // by this life of the agent
  Age tests_again_at{};
  bool fetch_started = false;  // by this life of the agent
  std::int64_t fetched_bytes = 0;

  std::int64_t next_seq = 0;  // of the first event not taken in yet
  Progress progress;
  Age progress_at{};          // of anything
  Age trainer_progress_at{};  // of the trainer

  bool trainer_wanted = false;        // it was told to start and its end has not been seen
  bool trainer_seen = false;          // since that start
  bool trainer_killed = false;        // SIGKILL was sent
  bool stall_kill = false;            // because of a stall
  std::optional<Age> stack_asked_at;  // of a trainer that stalled
  bool kill_when_saved = false;       // a stop whose SIGTERM may not have been sent
  bool finished = false;              // it said so, with everything done
  bool stopped_early = false;         // it said so, after being asked to stop
  std::string failure;                // what it said before it failed
  std::string failure_kind;
  int restarts = 0;
  int restarts_without_progress = 0;
  std::int64_t highest_step = 0;
  std::int64_t step_at_crash = -1;

  std::vector<Upload> uploads;
  bool final_queued = false;        // what is to be kept of the run is among the uploads
  Age upload_takes{};               // the longest of a checkpoint so far, until it was safe
  std::optional<Age> rescue_until;  // the reserve is gone: the rescue budget is being spent
  Age reclaimed_at = kNever;        // when the provider takes the machine, as far as we count on it
  bool logs_sent = false;
  bool logs_done = false;
  Age status_sent_at{};

  Age kept_until = kNever;
  int destroy_calls = 0;
  Age next_destroy_at{};
  Age next_look_at{};
  std::string destroy_answer;
  std::optional<WallTime> destroy_accepted_at;
  bool instance_seen = false;         // the provider has listed it at least once
  int unlisted_looks = 0;             // while ending: looks that did not find it
  bool gone = false;                  // the provider's listing says so
  std::vector<std::string> warnings;  // the last few
};

// One of the tests before anything is spent on training: "destroy", "hub", "disk", "fuse".
struct SelfTest {
  std::string name;
  std::optional<Error> error;
};
struct SelfTestView {
  enum class Kind { idle, running, done } kind = Kind::idle;
  std::vector<SelfTest> results;  // so far
};
struct TrainerView {
  enum class Kind { none, running, exited } kind = Kind::none;
  std::optional<int> code;      // 128 + signal if a signal ended it; unknown for an adopted trainer
  bool memory_ran_out = false;  // the kernel killed it, to get memory back
};
struct FetchView {
  enum class Kind { idle, running, done, failed } kind = Kind::idle;
  std::int64_t bytes = 0;
  std::string what = {};  // in words, for people
  std::optional<Error> error = {};
};
struct UploadResult {
  std::string label;  // also "logs", "status" and "self-test"
  std::string commit = {};
  std::string files_sha256 = {};
  std::optional<Error> error = {};
  int sink = 0;
  std::string flag = {};  // what is wrong with it, though it is there
};
struct DestroyAnswer {
  bool accepted = false;
  std::string text;
};
struct NewestCheckpoint {
  std::string folder;
  std::int64_t step = 0;
};

struct Observation {
  WallTime now;
  Age age{};
  bool agent_started = false;  // the first look of this life of the agent
  std::vector<Event> events;
  SelfTestView self_tests;
  TrainerView trainer;
  FetchView fetch;
  std::vector<UploadResult> uploads;
  std::vector<Request> requests;
  int terminations = 0;         // SIGTERMs since the last look
  bool reclaim_notice = false;  // the provider has said that it takes the machine away
  std::optional<NewestCheckpoint> newest_checkpoint;
  std::optional<Status> fuse_moved;  // what became of move_fuse
  std::optional<DestroyAnswer> destroy;
  std::optional<Result<InstanceState>> instance;  // error not_found: it is not listed any more
};

struct Step {
  AgentState state;
  std::vector<Action> actions;
};
Step advance(const AgentPolicy& policy, AgentState state, const Observation& seen);

// Waits. All others come from the plan.
constexpr Age kSaveTakes = std::chrono::seconds(60);    // the writing of a checkpoint
constexpr Age kDeathTakes = std::chrono::seconds(10);   // SIGKILL to going on without its death
constexpr Age kArmingTakes = std::chrono::minutes(10);  // all self-tests, tried again and again
constexpr Age kHubTakes = std::chrono::seconds(5);      // to answer, where we can do without it
constexpr Age kTestAgain = std::chrono::seconds(10);
constexpr Age kStackTakes = std::chrono::seconds(5);  // the trainer's printing of its stack
// Of the two minutes that AWS gives, the shortest notice of all providers that give one
// (https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-instance-termination-notices.html).
constexpr Age kReclaimTakes = std::chrono::seconds(100);
constexpr Age kReclaimSave = std::chrono::seconds(25);
constexpr Age kLogsTake = std::chrono::seconds(120);
constexpr Age kConfirmTakes = std::chrono::minutes(15);  // then the destroy call is repeated
constexpr Age kDestroyRetry = std::chrono::seconds(30);  // longest wait between two destroy calls
// A young instance may not be listed yet; later, what is not listed is not there.
constexpr Age kListedWithin = std::chrono::minutes(5);
constexpr Age kLookEvery = std::chrono::seconds(2);
constexpr int kUnlistedLooks = 60;  // and for two minutes of looks it was not found
constexpr Age kUploadRetry = std::chrono::seconds(60);  // longest wait between two tries

// Saving ends here, with SIGKILL: a trainer answers between two steps, so two of its steps fit
// beside the writing; less when the provider takes the machine. The hard deadline wins over it all
// the same.
Age save_until(const AgentState& state);

}  // namespace mayfly
