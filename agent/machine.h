// The instance, as the agent sees and moves it: files of the run directory, the trainer process,
// the provider, the hub.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "agent/age.h"
#include "agent/checkpoint_search.h"
#include "agent/fetch.h"
#include "agent/journal.h"
#include "agent/loop.h"
#include "agent/reclaim_watch.h"
#include "agent/trainer_process.h"
#include "agent/true_time.h"
#include "agent/upload_queue.h"
#include "core/provider/provider.h"
#include "core/run/event_tail.h"
#include "core/run/layer.h"
#include "core/run/plan.h"

namespace mayfly {

struct MachineParts {
  RunPlan plan;
  InstanceId instance;
  WallTime created_at;
  AgentPolicy policy;
  std::filesystem::path trainer_program;
  std::string trainer_unit;  // of systemd, which starts that program; "": a child of ours
  FetchSources fetch;
  Provider& provider;
  std::vector<Store*> sinks;  // the hub first; empty: nothing is uploaded
  Clock& clock;
  std::function<FirstAge()> first_age;  // asked by the first life of a boot
  std::vector<Secret> secrets = {};     // to be taken out of what is uploaded of the logs
  std::string metadata_service =
      {};  // that says when the machine is taken away; "" : there is none
  std::filesystem::path kept_secrets = {};  // on disk, for a reboot; removed before the end
};

class Machine final : public World {
 public:
  // Reads what an earlier life left, and takes over its trainer. `parts` references outlive it.
  explicit Machine(MachineParts parts);

  // The state to go on from.
  AgentState remembered_state() const;
  // Of the instance, now.
  Age age() const;

  Observation observe() override;
  Status note(const std::string& decision) override;
  Status save(const AgentState& state) override;
  void act(const Action& action, const AgentState& state) override;

  // Writes the status if the state changed or the last one is some seconds old.
  void report(const AgentState& state);
  // Counted into the next observation.
  void add_termination();

 private:
  void start_self_tests();
  void take_upload_results(Observation& seen);
  void send_upload(const Action& action);
  void send_logs(const AgentState& state, bool everything);
  void move_fuse(Age hard_deadline);
  void ask_destroy();
  void look_at_instance();
  void look_at_layers(SteadyTime now);
  void fail_upload(const std::string& label, int sink, Error error);
  UploadQueue& queue_of(int sink);

  MachineParts parts_;
  RunDirectory run_;
  ReserveFile reserve_;
  Journal journal_;
  std::optional<AgeMeter> age_;
  AgentState remembered_;
  EventTail events_;
  CheckpointSearch checkpoints_;
  TrainerProcess trainer_;
  Fetcher fetcher_;
  std::optional<ReclaimWatch> reclaim_;
  // One a sink, each with a thread of its own: one that hangs does not hold up the next.
  std::vector<std::unique_ptr<UploadQueue>> uploads_;

  bool first_look_ = true;
  int terminations_ = 0;
  std::vector<UploadResult> local_results_;  // of uploads that failed before they were queued
  SelfTestView self_tests_;
  std::optional<Status> fuse_moved_;
  std::optional<DestroyAnswer> destroy_;
  std::optional<Result<InstanceState>> instance_;
  std::optional<SteadyTime> layers_seen_at_;
  std::vector<Layer> layers_;
  std::optional<SteadyTime> reported_at_;
  std::string reported_;
};

}  // namespace mayfly
