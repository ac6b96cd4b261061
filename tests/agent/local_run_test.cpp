// Whole runs on the local provider with real processes: real user-data, bootstrap, agent, and a
// trainer without a model. What must never happen: something still running after `gone`, a run that
// does not end, a secret where others can read it.
#include <gtest/gtest.h>

#include "agent/replay.h"
#include "core/atomic_file.h"
#include "core/exit_code.h"
#include "core/provider/receipt.h"
#include "core/run/request.h"
#include "core/run/run_status.h"
#include "tests/core/http/raw_server.h"
#include "tests/fakes/local_instance.h"

namespace mayfly {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

class LocalRunTest : public LocalInstance {};

TEST_F(LocalRunTest, TrainsAndMakesItselfGo) {
  launch(600s);
  ASSERT_TRUE(wait_until_gone()) << console();

  const RunDirectory run{plan_.run_dir};
  EXPECT_TRUE(fs::exists(run.adapter() / "adapter_model.safetensors")) << console();
  EXPECT_EQ(processes_left(), 0);
  EXPECT_TRUE(provider().list_ours()->empty());

  const Result<RunStatus> status = read_status(run.status());
  ASSERT_TRUE(status) << status.error().message;
  EXPECT_EQ(status->reason, "finished");
  EXPECT_EQ(status->exit_code, 0);
  EXPECT_EQ(status->step, 8);

  // What was decided is recorded with all that it was decided from.
  const Result<ReplayReport> again = replay(*read_file(run.decisions()));
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_GT(again->decisions, 5);
  EXPECT_EQ(again->damaged, 0);
  EXPECT_FALSE(again->difference) << replay_text(*again);

  const Result<Receipt> receipt = read_receipt(run);
  ASSERT_TRUE(receipt) << receipt.error().message;
  EXPECT_EQ(receipt->state, ReceiptState::accepted_unconfirmed);
  LocalProvider local = provider();
  const Result<Receipt> confirmed = confirm_receipt(*receipt, local, plan_.offer.price, clock_);
  ASSERT_TRUE(confirmed) << confirmed.error().message;
  EXPECT_EQ(confirmed->state, ReceiptState::confirmed);
  EXPECT_GT(confirmed->cost.micros, 0);
}

TEST_F(LocalRunTest, KeepsTheSecretInMemoryAndRemovesIt) {
  plan_.config.generate.vars["step_ms"] = "200";
  launch(600s);
  const RunDirectory run{plan_.run_dir};
  ASSERT_TRUE(wait_for([&] { return fs::exists(run.events()); }, 60s)) << console();
  const auto record = read_local_record(provider().folder_of(id_));
  ASSERT_TRUE(record);
  const fs::path secrets = record->secrets_folder;
  EXPECT_TRUE(secrets.string().starts_with("/dev/shm/"));
  EXPECT_EQ(fs::status(secrets / "secrets.json").permissions(),
            fs::perms::owner_read | fs::perms::owner_write);
  ASSERT_TRUE(send_request(run, {RequestKind::down, "the test", clock_.now(), ""}));
  ASSERT_TRUE(wait_until_gone()) << console();
  EXPECT_FALSE(fs::exists(secrets));

  for (const auto& entry : fs::recursive_directory_iterator(root_)) {
    if (!entry.is_regular_file()) continue;
    EXPECT_EQ(read_file(entry.path())->find("hf_canary"), std::string::npos) << entry.path();
  }
  const Result<RunStatus> status = read_status(run.status());
  ASSERT_TRUE(status);
  EXPECT_EQ(status->reason, "asked");
  EXPECT_EQ(status->exit_code, 143);
}

TEST_F(LocalRunTest, AProgramWithAnotherHashIsRefusedAndTheInstanceEnds) {
  plan_.programs[1].sha256[0] = plan_.programs[1].sha256[0] == '0' ? '1' : '0';
  launch(600s);
  ASSERT_TRUE(wait_until_gone()) << console();
  EXPECT_NE(console().find("wrong SHA-256"), std::string::npos) << console();
  EXPECT_FALSE(fs::exists(plan_.run_dir));
}

TEST_F(LocalRunTest, TheSpendLimitStopsTrainingAndSavesIt) {
  plan_.config.generate.vars = {{"step_ms", "100"}, {"steps_per_epoch", "1000"}};
  // $12 an hour: 30 s buy 10 cents; 5 s of them are for destroying, 8 for saving. What is left is
  // enough to boot and train a little even on a busy machine.
  plan_.config.limits.spend_limit = cents(10);
  plan_.config.limits.reserve = 8s;
  launch(600s);
  ASSERT_TRUE(wait_until_gone()) << console();

  const RunDirectory run{plan_.run_dir};
  const Result<RunStatus> status = read_status(run.status());
  ASSERT_TRUE(status);
  EXPECT_EQ(status->reason, "spend_limit");
  EXPECT_EQ(status->exit_code, 14);
  EXPECT_FALSE(fs::is_empty(run.checkpoints()));
  const Result<Instance> instance = provider().get(id_);
  ASSERT_TRUE(instance);
  const SpendMeter meter(instance->price, instance->created_at);
  EXPECT_LE(meter.spent(*instance->ended_at), cents(10));
  EXPECT_EQ(processes_left(), 0);
}

TEST_F(LocalRunTest, ARunThatCannotBeginSaysWhyAndMakesItselfGo) {
  plan_.hub_endpoint = "http://127.0.0.1:9";
  plan_.hub_repo = "not a repository";
  launch(600s);
  ASSERT_TRUE(wait_until_gone()) << console();
  const Result<RunStatus> status = read_status(RunDirectory{plan_.run_dir}.status());
  ASSERT_TRUE(status) << status.error().message;
  EXPECT_EQ(status->reason, "failed");
  EXPECT_EQ(status->exit_code, 2);
  EXPECT_NE(status->detail.find("not a repository"), std::string::npos) << status->detail;
}

TEST_F(LocalRunTest, ATrainerThatHangsIsStartedOnceMoreAndThenGivenUp) {
  plan_.config.generate.vars = {{"hang_at", "3"}, {"deaf", "yes"}};
  plan_.config.limits.stall_minutes = 0.03;
  launch(600s);
  ASSERT_TRUE(wait_until_gone()) << console();
  const Result<RunStatus> status = read_status(RunDirectory{plan_.run_dir}.status());
  ASSERT_TRUE(status);
  EXPECT_EQ(status->reason, "stalled") << status->detail;
  EXPECT_EQ(status->exit_code, 10);
  EXPECT_EQ(status->trainer_restarts, 1);
  EXPECT_EQ(processes_left(), 0);
}

// Beside it: where the log would be stands a link to another file, which stays as it was.
TEST_F(LocalRunTest, AnAdapterThatIsNotFiniteIsPublishedAndIsNoGoodEnd) {
  start_hub();
  plan_.config.generate.vars["not_finite"] = "yes";
  fs::create_directories(root_ / "run/logs");
  std::ofstream(root_ / "victim") << "untouched";
  fs::create_symlink(root_ / "victim", root_ / "run/logs/agent.log");
  launch(600s);
  ASSERT_TRUE(wait_until_gone()) << console();
  const Result<RunStatus> status = read_status(RunDirectory{plan_.run_dir}.status());
  ASSERT_TRUE(status);
  EXPECT_EQ(status->reason, "finished");
  EXPECT_EQ(status->exit_code, static_cast<int>(ExitCode::diverged));
  ASSERT_FALSE(status->uploads.empty());
  EXPECT_EQ(status->uploads.back().label, "main");
  EXPECT_EQ(status->uploads.back().state, "safe");
  EXPECT_NE(status->uploads.back().message.find("not finite"), std::string::npos);
  EXPECT_EQ(*read_file(root_ / "victim"), "untouched");
}

TEST_F(LocalRunTest, AHubThatCannotBeReachedCostsTheUploadAndNotTheEnd) {
  plan_.hub_endpoint = "http://127.0.0.1:9";  // nobody listens there
  plan_.hub_repo = "local/test-run";
  plan_.config.limits.upload_timeout = 3s;
  launch(600s);
  ASSERT_TRUE(wait_until_gone()) << console();
  const RunDirectory run{plan_.run_dir};
  const Result<RunStatus> status = read_status(run.status());
  ASSERT_TRUE(status);
  EXPECT_EQ(status->reason, "finished");
  EXPECT_EQ(status->exit_code, 18);
  ASSERT_FALSE(status->uploads.empty());
  EXPECT_EQ(status->uploads.back().state, "failed");
  EXPECT_NE(status->uploads.back().message.find(plan_.run_dir), std::string::npos)
      << status->uploads.back().message;
  EXPECT_TRUE(fs::exists(run.adapter() / "adapter_model.safetensors"));
}

// A metadata service that gives notice at its third question, about ten seconds into the run.
TEST_F(LocalRunTest, AMachineThatTheProviderTakesLeavesItsAdapterOnTheHub) {
  start_hub();
  const std::string token = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\ntoken";
  const std::string none = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
  const std::string body = R"({"action": "terminate", "time": "2026-11-22T14:02:11Z"})";
  const std::string notice =
      "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
  RawServer service({{token}, {none}, {none}, {notice}});
  ::setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", service.url("").c_str(), 1);
  plan_.config.generate.vars = {{"step_ms", "100"}, {"steps_per_epoch", "100000"}};
  launch(600s);
  ::unsetenv("AWS_EC2_METADATA_SERVICE_ENDPOINT");
  ASSERT_TRUE(wait_for([&] { return service.requests().size() == 4; }, 60s)) << console();
  const WallTime noticed = clock_.now();
  ASSERT_TRUE(wait_until_gone()) << console();
  const Result<RunStatus> status = read_status(RunDirectory{plan_.run_dir}.status());
  ASSERT_TRUE(status);
  EXPECT_EQ(status->reason, "reclaimed") << status->detail;
  EXPECT_EQ(status->exit_code, static_cast<int>(ExitCode::reclaimed));
  ASSERT_EQ(status->uploads.size(), 1U);
  EXPECT_EQ(status->uploads[0].state, "safe");
  EXPECT_GT(status->step, 0);
  EXPECT_EQ(status->uploads[0].label, "stopped-step-" + std::to_string(status->step));
  EXPECT_LE(*status->uploads[0].at - noticed, 100s);
}

// It takes every connection and says nothing: the upload hangs, and the money does not wait for it.
TEST_F(LocalRunTest, AHubThatHangsDoesNotDelayTheEndPastItsTime) {
  const RawServer silent(std::vector<RawAnswer>(1000, RawAnswer{"", false, true}));
  plan_.hub_endpoint = "http://127.0.0.1:" + std::to_string(silent.port());
  plan_.hub_repo = "local/test-run";
  // $12 an hour: 30 s buy 10 cents, 5 s of them are for destroying.
  plan_.config.limits.spend_limit = cents(10);
  plan_.config.limits.reserve = 8s;
  launch(600s);
  ASSERT_TRUE(wait_until_gone()) << console();
  const Result<RunStatus> status = read_status(RunDirectory{plan_.run_dir}.status());
  ASSERT_TRUE(status);
  EXPECT_EQ(status->uploads.front().state == "safe", false);
  const Result<Instance> instance = provider().get(id_);
  ASSERT_TRUE(instance);
  const SpendMeter meter(instance->price, instance->created_at);
  EXPECT_LE(meter.spent(*instance->ended_at), cents(10));
  EXPECT_EQ(processes_left(), 0);
  EXPECT_TRUE(fs::exists(RunDirectory{plan_.run_dir}.adapter() / "adapter_model.safetensors"));
}

TEST_F(LocalRunTest, AnInstanceWhoseProcessesDiedIsListedAsFailedUntilItIsEnded) {
  plan_.config.generate.vars["step_ms"] = "500";
  launch(600s);
  const RunDirectory run{plan_.run_dir};
  ASSERT_TRUE(wait_for([&] { return fs::exists(run.events()); }, 60s)) << console();
  const auto record = read_local_record(provider().folder_of(id_));
  for (int round = 0; round < 50; ++round) {
    for (const ProcessInfo& process : processes_of(*record)) ::kill(process.pid, SIGKILL);
  }
  const Result<std::vector<Instance>> listed = provider().find_run(plan_.run_id);
  ASSERT_TRUE(listed);
  ASSERT_EQ(listed->size(), 1U);
  EXPECT_EQ(listed->front().state, InstanceState::failed);
  ASSERT_TRUE(provider().terminate(id_));
  ASSERT_TRUE(wait_until_gone());
}

}  // namespace
}  // namespace mayfly
