// One call of advance(), taken apart: what was seen, then the stage, then the limits. Private to
// agent/state.cpp and the decision_*.cpp files; everybody else calls advance().
//
// Pure: it changes the state it was given, fills a list of actions, and looks at nothing else.
#pragma once

#include <string>
#include <vector>

#include "agent/state.h"

namespace mayfly {

class Decision {
 public:
  // All three outlive it; `state` is changed by decide().
  Decision(const AgentPolicy& policy, AgentState& state, const Observation& seen);

  // Once. Returns what is to be done, in this order.
  std::vector<Action> decide();

 private:
  // decision_seen.cpp: what has happened since the last look.
  void take_in_restart();
  void take_in_events();
  void take_in(const StartedEvent& event);
  void take_in(const StageEvent& event);
  void take_in(const DataEvent& event);
  void take_in(const StepEvent& event);
  void take_in(const EvaluatedEvent& event);
  void take_in(const CheckpointEvent& event);
  void take_in(const WarningEvent& event);
  void take_in(const FailedEvent& event);
  void take_in(const FinishedEvent& event);
  void measure_step(Progress& progress);
  void take_in_fetching();
  void progressed(bool by_trainer);

  // decision_requests.cpp: what people and the provider ask for.
  void take_in_requests();
  void take_in_request(const Request& request);
  void ask_to_stop(StopReason reason, const std::string& detail);
  void take_in_reclaim();
  void extend(const Request& request);

  // decision_arming.cpp: before anything is spent on training.
  void arm();
  bool only_hub_is_missing() const;
  void fail_arming(const SelfTest& test);

  // decision_training.cpp: the stages until there is something to publish.
  void fetch();
  void start_trainer();
  void train();
  void watch_for_stall();
  void after_crash();
  std::string crash_text() const;
  void save();

  // decision_uploads.cpp: what goes to the hub, and when it counts as there.
  bool wants_upload(const CheckpointEvent& event) const;
  bool is_among_uploads(const std::string& folder) const;
  void add_upload(const std::string& label, const std::string& folder, std::int64_t step);
  void take_in_uploads();
  void take_in_result(Upload& upload, const UploadResult& result);
  void send_to_next_sink(Upload& upload);
  void retry_uploads();
  void upload();
  void queue_final(Age waited);
  bool uploads_pending() const;
  bool begin_rescue(const Deadline& deadline);
  void give_up_uploads();

  // decision_ending.cpp: limits, and the end of the instance.
  void keep_deadlines();
  bool is_working() const;
  void decide_exit_code();
  void conclude();
  void destroy();
  void take_in_destroying();
  void ask_destroy();
  void confirm();

  // decision.cpp: what all of them need.
  void run_stage();
  bool is_ending() const;
  bool trainer_runs() const;
  void enter(Stage stage);
  void stop(StopReason reason, const std::string& detail);
  void kill_trainer();
  void signal_trainer(int signal);
  void warn(const std::string& text);
  void act(Action action);

  const AgentPolicy& policy_;
  AgentState& state_;
  const Observation& seen_;
  LimitPolicy limit_;  // as extended so far
  std::vector<Action> actions_;
  WallTime event_time_{};  // of the event at hand
};

}  // namespace mayfly
