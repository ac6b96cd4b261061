// A local instance for tests, with real processes: user-data, bootstrap, agent, and a trainer
// without a model. Ended with the test whatever became of it.
#pragma once

#include <csignal>
#include <fstream>
#include <functional>
#include <thread>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/atomic_file.h"
#include "core/http/curl_client.h"
#include "core/json.h"
#include "core/provider/local.h"
#include "core/run/directory.h"
#include "core/run/run_status.h"
#include "core/run/user_data.h"
#include "core/sha256.h"
#include "core/spawn.h"
#include "core/store/hub.h"

namespace mayfly {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

class LocalInstance : public ::testing::Test {
 protected:
  LocalInstance() {
    const auto* info = ::testing::UnitTest::GetInstance()->current_test_info();
    root_ = fs::temp_directory_path() /
            ("mayfly-" + std::string(info->name()) + "-" + std::to_string(::getpid()));
    fs::create_directories(root_ / "model");
    for (const char* name : {"config.json", "tokenizer.json", "model.safetensors", "data.jsonl"}) {
      std::ofstream(root_ / "model" / name) << "{}\n";
    }
    plan_.run_id = "0123456789ab";
    plan_.run_name = "test-run";
    plan_.created_at = clock_.now();
    plan_.config.model.base = (root_ / "model").string();
    plan_.config.data.path = {(root_ / "model/data.jsonl").string()};
    plan_.config.train.epochs = 2;
    plan_.run_dir = (root_ / "run").string();
    plan_.offer = {.provider = "local",
                   .instance_type = "this-machine",
                   .region = "here",
                   .gpu = "",
                   .gpu_count = 0,
                   .price = {dollars(12), 1s}};
    add_program("agent", "agent");
    add_program("train", "fake_trainer");
  }

  ~LocalInstance() override {
    if (!id_.empty()) {
      (void)provider().terminate(id_);
      wait_until_gone();
    }
    if (hub_pid_ > 0) {
      ::kill(hub_pid_, SIGKILL);
      (void)wait_for_exit(hub_pid_, 5s);
    }
    fs::remove_all(root_);
  }

  void add_program(const std::string& name, const std::string& binary) {
    const fs::path path = fs::path(MAYFLY_BINARY_DIR) / binary;
    plan_.programs.push_back({name, "file://" + path.string(), *sha256_file(path)});
  }

  LocalProvider provider() {
    return LocalProvider(
        {root_ / "state", fs::path(MAYFLY_BINARY_DIR) / "agent", plan_.offer.price}, clock_);
  }

  void launch(std::chrono::seconds fuse) {
    times_.fuse = fuse;
    InstanceSpec spec;
    spec.run_id = plan_.run_id;
    spec.offer.price = plan_.offer.price;
    spec.secrets["HF_TOKEN"] = Secret(token_);
    const Result<std::string> user_data = render_user_data(plan_, times_);
    ASSERT_TRUE(user_data) << user_data.error().message;
    spec.user_data = *user_data;
    const CreateOutcome made = provider().create(spec);
    ASSERT_EQ(made.kind, CreateOutcome::Kind::made) << made.error.message;
    id_ = made.id;
  }

  bool wait_for(const std::function<bool()>& done, std::chrono::seconds limit) {
    for (auto waited = 0ms; waited < limit; waited += 20ms) {
      if (done()) return true;
      std::this_thread::sleep_for(20ms);
    }
    return false;
  }
  bool wait_until_gone() {
    return wait_for(
        [&] {
          const Result<Instance> instance = provider().get(id_);
          return instance && instance->state == InstanceState::gone;
        },
        120s);
  }

  // Every process that carries the mark of the instance, whatever its session.
  int processes_left() {
    int left = 0;
    for (const ProcessInfo& process : all_processes()) {
      if (process.alive() && process_variable(process.pid, kInstanceVariable).value == id_) ++left;
    }
    return left;
  }

  std::string console() {
    return read_file(provider().folder_of(id_) / "console.log").operator*();
  }

  // A hub for the run; without it nothing is published.
  void start_hub() {
    SpawnSpec spec;
    spec.argv = {(fs::path(MAYFLY_BINARY_DIR) / "localhub").string(),
                 "--root",
                 (root_ / "hub").string(),
                 "--port",
                 "0",
                 "--ready-file",
                 (root_ / "ready").string()};
    spec.environment = {"PATH=/usr/bin:/bin", "HOME=" + root_.string()};
    spec.output = root_ / "hub.log";
    hub_pid_ = *spawn(spec);
    ASSERT_TRUE(wait_for([&] { return fs::exists(root_ / "ready"); }, 20s));
    const auto ready = parse_json(read_file(root_ / "ready").operator*(), "ready file");
    plan_.hub_endpoint = "http://127.0.0.1:" + std::to_string((*ready)["port"].get<int>());
    plan_.hub_repo = "local/test-run";
    token_ = read_file(root_ / "hub/token").operator*();
    while (!token_.empty() && token_.back() == '\n') token_.pop_back();
  }
  std::vector<std::string> branches() {
    CurlHttpClient http;
    HubSession session(http, clock_, {plan_.hub_endpoint, Secret(token_)});
    HubStore store(session, {RepoKind::model, *parse_repo_name(plan_.hub_repo)}, false);
    const auto names = store.branches();
    return names ? *names : std::vector<std::string>{};
  }

  SystemClock clock_;
  fs::path root_;
  RunPlan plan_;
  BootTimes times_{};
  InstanceId id_;
  std::string token_ = "hf_canary0123456789abcdef";
  pid_t hub_pid_ = 0;
};

}  // namespace mayfly
