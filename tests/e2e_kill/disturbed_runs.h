// Whole runs - local provider, bootstrap, agent, trainer, hub - that a test disturbs, and what each
// must have become in the end: every epoch on the hub, the same bytes in the adapter as in the run
// that was left alone, and nothing left running.
#pragma once

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/atomic_file.h"
#include "core/http/curl_client.h"
#include "core/json.h"
#include "core/process_table.h"
#include "core/provider/local.h"
#include "core/provider/receipt.h"
#include "core/run/directory.h"
#include "core/run/event_tail.h"
#include "core/run/run_status.h"
#include "core/run/user_data.h"
#include "core/sha256.h"
#include "core/spawn.h"
#include "core/store/hub.h"
#include "tests/fakes/process_words.h"
#include "tests/fakes/tiny_model.h"

namespace mayfly {

enum class Victim { agent, trainer, both };

// One run under test.
struct Trial {
  std::string name;
  RunPlan plan;
  InstanceId instance;
  SteadyTime started;  // of its machine; then, from its first look at a live agent, of that
  bool agent_seen = false;
  std::vector<std::pair<std::chrono::milliseconds, Victim>> kills;  // after the start, in order
  int killed = 0;
  bool gone = false;
};

// A number of the environment, for suites that are short in ./dev test and long in ./dev soak.
inline int number_of(const char* variable, int otherwise) {
  const char* const text = std::getenv(variable);
  return text == nullptr ? otherwise : std::atoi(text);
}

class DisturbedRuns : public ::testing::Test {
 protected:
  static constexpr int kEpochs = 3;
  static constexpr std::chrono::milliseconds kLongestRun = std::chrono::seconds(240);

  // `trainer`: the file beside the other programs that is fetched as `train`.
  explicit DisturbedRuns(const std::string& trainer)
      : root_(std::filesystem::temp_directory_path() /
              ("mayfly-kill-" + std::to_string(::getpid()))),
        provider_({root_ / "state", binaries_ / "agent", Price{}}, clock_) {
    std::filesystem::create_directories(root_);
    EXPECT_TRUE(make_tiny_model(root_ / "model"));
    make_tiny_data(root_ / "data.jsonl", 24);
    for (const auto& [name, binary] :
         {std::pair("agent", std::string("agent")), std::pair("train", trainer)}) {
      programs_.push_back(program(name, binaries_ / binary));
    }
  }
  ~DisturbedRuns() override {
    using namespace std::chrono_literals;
    const auto left = provider_.list_ours();
    for (std::size_t i = 0; left && i < left->size(); ++i) (void)provider_.terminate((*left)[i].id);
    for (int i = 0; i < 500 && !provider_.list_ours()->empty(); ++i) clock_.sleep_for(20ms);
    if (hub_pid_ > 0) {
      ::kill(hub_pid_, SIGTERM);
      (void)wait_for_exit(hub_pid_, 5s);
    }
    std::filesystem::remove_all(root_);
  }

  static PlannedProgram program(const std::string& name, const std::filesystem::path& file) {
    return {name, "file://" + file.string(), *sha256_file(file)};
  }

  void start_hub() {
    using namespace std::chrono_literals;
    SpawnSpec spec;
    spec.argv = {(binaries_ / "localhub").string(),
                 "--root",
                 (root_ / "hub").string(),
                 "--port",
                 "0",
                 "--ready-file",
                 (root_ / "ready").string()};
    spec.environment = {"PATH=/usr/bin:/bin", "HOME=" + root_.string()};
    spec.output = root_ / "hub.log";
    const Result<pid_t> started = spawn(spec);
    ASSERT_TRUE(started) << started.error().message;
    hub_pid_ = *started;
    for (int i = 0; i < 500 && !std::filesystem::exists(root_ / "ready"); ++i) {
      clock_.sleep_for(20ms);
    }
    const auto ready = parse_json(read_file(root_ / "ready").operator*(), "ready file");
    ASSERT_TRUE(ready);
    endpoint_ = "http://127.0.0.1:" + std::to_string((*ready)["port"].get<int>());
    token_ = read_file(root_ / "hub/token").operator*();
    while (!token_.empty() && token_.back() == '\n') token_.pop_back();
  }

  Trial make_run(const std::string& name) {
    Trial run;
    run.name = name;
    RunPlan& plan = run.plan;
    plan.run_id = sha256_hex(name).substr(0, 12);
    plan.run_name = name;
    plan.created_at = clock_.now();
    plan.config.model.base = (root_ / "model").string();
    plan.config.data.path = {(root_ / "data.jsonl").string()};
    plan.config.data.cutoff_len = 128;
    plan.config.lora.dropout = 0.1;  // so that random numbers matter
    plan.config.train.epochs = kEpochs;
    plan.config.train.threads = 1;
    plan.config.train.bf16 = false;
    plan.config.train.per_device_batch_size = 2;
    plan.config.train.learning_rate = 1e-3;
    plan.config.generate.vars = {{"steps_per_epoch", "12"}, {"step_ms", "60"}};
    plan.run_dir = (root_ / "runs" / name).string();
    plan.model_dir = (root_ / "model").string();
    plan.offer.provider = "local";
    plan.offer.instance_type = "this-machine";
    plan.programs = programs_;
    plan.hub_endpoint = endpoint_;
    plan.hub_repo = "local/" + name;
    return run;
  }

  void launch(Trial& run) {
    InstanceSpec spec;
    spec.run_id = run.plan.run_id;
    spec.secrets["HF_TOKEN"] = Secret(token_);
    const Result<std::string> user_data =
        render_user_data(run.plan, {.fuse = std::chrono::seconds(600)});
    ASSERT_TRUE(user_data) << user_data.error().message;
    spec.user_data = *user_data;
    const CreateOutcome made = provider_.create(spec);
    ASSERT_EQ(made.kind, CreateOutcome::Kind::made) << made.error.message;
    run.instance = made.id;
    run.started = clock_.steady_now();
  }

  std::vector<pid_t> alive(const Trial& run, Victim victim) {
    std::vector<pid_t> found;
    const auto record = read_local_record(provider_.folder_of(run.instance));
    if (!record) return found;
    for (const ProcessInfo& process : processes_of(*record)) {
      const std::string words = words_of(process.pid);
      const bool agent = words.find("/bin/agent run ") != std::string::npos;
      const bool trainer = words.find("/bin/train sft ") != std::string::npos;
      if ((agent && victim != Victim::trainer) || (trainer && victim != Victim::agent)) {
        found.push_back(process.pid);
      }
    }
    return found;
  }

  // Moments count from the agent's first life, which a busy machine delays; a kill that finds
  // nobody waits for its victim.
  void attend(Trial& run) {
    if (!run.agent_seen && !alive(run, Victim::agent).empty()) {
      run.agent_seen = true;
      run.started = clock_.steady_now();
    }
    const std::chrono::milliseconds age = clock_.steady_now() - run.started;
    while (run.agent_seen && !run.kills.empty() && age >= run.kills.front().first) {
      bool hit = false;
      for (const pid_t pid : alive(run, run.kills.front().second)) {
        hit = ::kill(pid, SIGKILL) == 0 || hit;
      }
      if (!hit) break;
      ++run.killed;
      run.kills.erase(run.kills.begin());
    }
    const Result<Instance> instance = provider_.get(run.instance);
    run.gone = instance && instance->state == InstanceState::gone;
  }

  // Runs them all, a few at a time, until each is gone or far too late.
  void carry_out(std::vector<Trial>& runs) {
    std::size_t next = 0;
    for (;;) {
      int alive = 0;
      for (std::size_t i = 0; i < next; ++i) {
        if (!runs[i].gone && clock_.steady_now() - runs[i].started < kLongestRun) {
          attend(runs[i]);
          alive += runs[i].gone ? 0 : 1;
        }
      }
      while (alive < at_once_ && next < runs.size()) {
        launch(runs[next++]);
        ++alive;
      }
      if (alive == 0) return;
      clock_.sleep_for(std::chrono::milliseconds(20));
    }
  }

  // Per branch, what identifies the adapter's weights on the hub.
  std::map<std::string, std::string> weights_on_hub(const Trial& run) {
    CurlHttpClient http;
    HubSession session(http, clock_, {endpoint_, Secret(token_)});
    HubStore store(session, {RepoKind::model, *parse_repo_name(run.plan.hub_repo)}, false);
    std::map<std::string, std::string> weights;
    const auto branches = store.branches();
    if (!branches) return weights;
    for (const std::string& branch : *branches) {
      const auto files = store.list(branch);
      if (!files) continue;
      for (const StoredFile& file : *files) {
        if (file.path == "adapter_model.safetensors") {
          weights[branch] = file.sha256 + file.git_blob_id;
        }
      }
    }
    return weights;
  }

  static std::string last_loss(const Trial& run) {
    EventTail tail(RunDirectory{run.plan.run_dir}.events());
    std::string loss;
    const auto events = tail.read_new();
    for (const Event& event : *events) {
      if (const auto* step = std::get_if<StepEvent>(&event.body)) loss = json_line(step->loss);
    }
    return loss;
  }

  static std::string adapter_of(const Trial& run) {
    const auto hash =
        sha256_file(RunDirectory{run.plan.run_dir}.adapter() / "adapter_model.safetensors");
    return hash ? *hash : "no adapter: " + hash.error().message;
  }

  // A trainer that begins after the destroy call was accepted would train on a machine that is
  // being taken away, and hold up its end.
  static void expect_no_start_after_destroying(const Trial& run, const Receipt& receipt) {
    EventTail tail(RunDirectory{run.plan.run_dir}.events());
    const auto events = tail.read_new();
    ASSERT_TRUE(events);
    for (const Event& event : *events) {
      if (!std::holds_alternative<StartedEvent>(event.body)) continue;
      EXPECT_LE(event.time, receipt.destroy_asked_at);
    }
  }

  void expect_like(const Trial& run, const Trial& alone) {
    SCOPED_TRACE(run.name + " killed " + std::to_string(run.killed) + " times");
    EXPECT_TRUE(run.gone);
    const auto status = read_status(RunDirectory{run.plan.run_dir}.status());
    ASSERT_TRUE(status) << status.error().message;
    EXPECT_EQ(status->reason, "finished") << status->detail;
    EXPECT_EQ(status->exit_code, 0);
    EXPECT_EQ(adapter_of(run), adapter_of(alone));
    EXPECT_EQ(last_loss(run), last_loss(alone));
    EXPECT_EQ(weights_on_hub(run), weights_on_hub(alone));
    const Result<Receipt> receipt = read_receipt(RunDirectory{run.plan.run_dir});
    if (!receipt && run.killed > 0) {
      // Dead between the provider's answer and the receipt: the machine went meanwhile.
      EXPECT_EQ(receipt.error().kind, ErrorKind::not_found);
      EXPECT_TRUE(status->state == "destroying" || status->state == "confirming") << status->state;
      return;
    }
    ASSERT_TRUE(receipt) << receipt.error().message;
    expect_no_start_after_destroying(run, *receipt);
  }

  void expect_nothing_left(const std::vector<Trial>& runs) {
    EXPECT_TRUE(provider_.list_ours()->empty());
    for (const ProcessInfo& process : all_processes()) {
      const auto mark = process_variable(process.pid, kInstanceVariable).value;
      if (!process.alive() || !mark) continue;
      for (const Trial& run : runs) EXPECT_NE(*mark, run.instance) << words_of(process.pid);
    }
  }

  int at_once_ = 5;
  SystemClock clock_;
  std::filesystem::path binaries_ = MAYFLY_BINARY_DIR;
  std::filesystem::path root_;
  LocalProvider provider_;
  std::vector<PlannedProgram> programs_;
  pid_t hub_pid_ = 0;
  std::string endpoint_;
  std::string token_;
};

}  // namespace mayfly
