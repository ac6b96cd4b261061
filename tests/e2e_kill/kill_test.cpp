// Whole runs - local provider, bootstrap, agent, trainer, hub - in which the agent, the trainer or
// both are killed with -9 at random moments. Each must end as the run that was left alone: every
// epoch on the hub, the same bytes in the adapter, the same last loss, and nothing left running.
#include <algorithm>
#include <csignal>
#include <fstream>
#include <iostream>
#include <random>
#include <thread>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/atomic_file.h"
#include "core/http/curl_client.h"
#include "core/json.h"
#include "core/provider/local.h"
#include "core/run/directory.h"
#include "core/run/event_tail.h"
#include "core/run/run_status.h"
#include "core/run/user_data.h"
#include "core/sha256.h"
#include "core/spawn.h"
#include "core/store/hub.h"
#include "tests/fakes/tiny_model.h"

namespace mayfly {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using std::chrono::milliseconds;

constexpr int kDisturbedRuns = 20;
constexpr int kAtOnce = 5;
constexpr int kEpochs = 3;
constexpr unsigned kSeed = 20261122;
constexpr milliseconds kLongestRun = 240s;
const fs::path kBinaries = MAYFLY_BINARY_DIR;

enum class Victim { agent, trainer, both };

// One run under test.
struct Trial {
  std::string name;
  RunPlan plan;
  InstanceId instance;
  SteadyTime started;
  std::vector<std::pair<milliseconds, Victim>> kills;  // after the start, in order
  int killed = 0;
  bool gone = false;
};

class KillTest : public ::testing::Test {
 protected:
  KillTest()
      : root_(fs::temp_directory_path() / ("mayfly-kill-" + std::to_string(::getpid()))),
        provider_({root_ / "state", kBinaries / "agent", Price{}}, clock_) {
    fs::create_directories(root_);
    EXPECT_TRUE(make_tiny_model(root_ / "model"));
    make_tiny_data(root_ / "data.jsonl", 24);
    for (const auto& [name, binary] :
         {std::pair("agent", "agent"), std::pair("train", MAYFLY_KILL_TRAINER)}) {
      programs_.push_back(
          {name, "file://" + (kBinaries / binary).string(), *sha256_file(kBinaries / binary)});
    }
  }
  ~KillTest() override {
    const auto left = provider_.list_ours();
    for (std::size_t i = 0; left && i < left->size(); ++i) (void)provider_.terminate((*left)[i].id);
    for (int i = 0; i < 500 && !provider_.list_ours()->empty(); ++i) clock_.sleep_for(20ms);
    if (hub_pid_ > 0) {
      ::kill(hub_pid_, SIGTERM);
      (void)wait_for_exit(hub_pid_, 5s);
    }
    fs::remove_all(root_);
  }

  void start_hub() {
    SpawnSpec spec;
    spec.argv = {(kBinaries / "localhub").string(),
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
    for (int i = 0; i < 500 && !fs::exists(root_ / "ready"); ++i) clock_.sleep_for(20ms);
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
    const Result<std::string> user_data = render_user_data(run.plan, {.fuse = 600s});
    ASSERT_TRUE(user_data) << user_data.error().message;
    spec.user_data = *user_data;
    const CreateOutcome made = provider_.create(spec);
    ASSERT_EQ(made.kind, CreateOutcome::Kind::made) << made.error.message;
    run.instance = made.id;
    run.started = clock_.steady_now();
  }

  // The command line of a process, words separated by spaces.
  static std::string words_of(pid_t pid) {
    std::ifstream in("/proc/" + std::to_string(pid) + "/cmdline", std::ios::binary);
    std::string text{std::istreambuf_iterator<char>(in), {}};
    std::replace(text.begin(), text.end(), '\0', ' ');
    return text;
  }

  // Whether somebody was there to be killed.
  bool kill_victim(const Trial& run, Victim victim) {
    const auto record = read_local_record(provider_.folder_of(run.instance));
    if (!record) return false;
    bool hit = false;
    for (const ProcessInfo& process : processes_of(*record)) {
      const std::string words = words_of(process.pid);
      const bool agent = words.find("/bin/agent run ") != std::string::npos;
      const bool trainer = words.find("/bin/train sft ") != std::string::npos;
      if ((agent && victim != Victim::trainer) || (trainer && victim != Victim::agent)) {
        hit = ::kill(process.pid, SIGKILL) == 0 || hit;
      }
    }
    return hit;
  }

  void attend(Trial& run) {
    const milliseconds age = clock_.steady_now() - run.started;
    while (!run.kills.empty() && age >= run.kills.front().first) {
      if (kill_victim(run, run.kills.front().second)) ++run.killed;
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
      while (alive < kAtOnce && next < runs.size()) {
        launch(runs[next++]);
        ++alive;
      }
      if (alive == 0) return;
      clock_.sleep_for(20ms);
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

  std::string adapter_of(const Trial& run) {
    const auto hash =
        sha256_file(RunDirectory{run.plan.run_dir}.adapter() / "adapter_model.safetensors");
    return hash ? *hash : "no adapter: " + hash.error().message;
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
    EXPECT_TRUE(fs::exists(RunDirectory{run.plan.run_dir}.receipt()));
  }

  SystemClock clock_;
  fs::path root_;
  LocalProvider provider_;
  std::vector<PlannedProgram> programs_;
  pid_t hub_pid_ = 0;
  std::string endpoint_;
  std::string token_;
};

TEST_F(KillTest, ARunThatIsKilledEndsAsTheOneThatWasLeftAlone) {
  start_hub();
  ASSERT_FALSE(HasFatalFailure());
  std::vector<Trial> alone = {make_run("alone")};
  carry_out(alone);
  ASSERT_TRUE(alone[0].gone);
  const milliseconds took = clock_.steady_now() - alone[0].started;
  EXPECT_EQ(weights_on_hub(alone[0]).size(), kEpochs + 1U);  // and main

  // A kill costs a second of waiting and the way back to the last checkpoint, so the moments are
  // spread over a little more than the undisturbed run takes.
  std::mt19937 random(kSeed);
  std::cout << "seed " << kSeed << ", undisturbed " << took.count() << " ms\n";
  std::vector<Trial> runs;
  for (int i = 0; i < kDisturbedRuns; ++i) {
    Trial run = make_run("killed-" + std::to_string(i));
    const auto kills = 1 + random() % 3;
    for (unsigned k = 0; k < kills; ++k) {
      const auto at = milliseconds(static_cast<int>(random() % (took.count() * 5 / 4)));
      run.kills.emplace_back(at, static_cast<Victim>(random() % 3));
    }
    std::sort(run.kills.begin(), run.kills.end());
    runs.push_back(std::move(run));
  }
  carry_out(runs);

  int killed = 0;
  for (const Trial& run : runs) {
    expect_like(run, alone[0]);
    killed += run.killed;
  }
  std::cout << killed << " kills hit somebody\n";
  EXPECT_GE(killed, kDisturbedRuns * 2 / 3);

  EXPECT_TRUE(provider_.list_ours()->empty());
  for (const ProcessInfo& process : all_processes()) {
    const auto mark = process_variable(process.pid, kInstanceVariable).value;
    if (!process.alive() || !mark) continue;
    for (const Trial& run : runs) EXPECT_NE(*mark, run.instance) << words_of(process.pid);
  }
}

}  // namespace
}  // namespace mayfly
