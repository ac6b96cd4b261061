// When is a run over? Saying so too early hides a machine that bills; saying so never leaves the
// user with a list of ghosts and no receipt.
#include <cstdlib>
#include <filesystem>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/atomic_file.h"
#include "core/json.h"
#include "core/run/directory.h"
#include "launcher/status_report.h"
#include "tests/fakes/fake_clock.h"
#include "tests/fakes/fake_provider.h"

namespace mayfly {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

class SettleTest : public testing::Test {
 protected:
  SettleTest() : folder(make_folder()), state(folder / "runs.json") {
    run.run_id = "aaaa11112222";
    run.name = "one";
    run.provider = "fake";
    run.created_at = FakeClock::kBegin;
    run.progress = {LaunchStage::made, 1, "i-1"};
    run.price = {dollars(36), 1s};
    run.spend_limit = dollars(5);
    run.run_dir = (folder / "one").string();
    EXPECT_TRUE(state.add(run));
  }
  ~SettleTest() override {
    fs::remove_all(folder);
  }
  static fs::path make_folder() {
    std::string name = (fs::temp_directory_path() / "settle_XXXXXX").string();
    return ::mkdtemp(name.data());
  }
  KnownRun stored() {
    return state.runs()->front();
  }
  void write_agent_status(const std::string& agent_state, std::chrono::seconds ago) {
    RunStatus status;
    status.run_id = run.run_id;
    status.state = agent_state;
    status.reason = "finished";
    status.exit_code = 0;
    status.updated_at = clock.now() - ago;
    status.created_at = FakeClock::kBegin;
    status.uploads = {
        {.label = "main", .state = "safe", .step = 1, .commit = "c", .message = "", .at = {}}};
    const RunDirectory files{run.run_dir};
    ASSERT_TRUE(make_folders(files.agent()));
    ASSERT_TRUE(write_file(files.status(), json_text(status_to_json(status))));
  }

  fs::path folder;
  StateFile state;
  FakeClock clock;
  FakeProvider provider;
  KnownRun run;
};

TEST_F(SettleTest, LeavesARunAloneWhoseMachineIsThere) {
  const auto over = settle_run(state, provider, run, clock);
  ASSERT_TRUE(over);
  EXPECT_FALSE(*over);
  EXPECT_FALSE(stored().gone_at);
}

TEST_F(SettleTest, BelievesNothingWhenTheProviderCannotBeAsked) {
  provider.get_error = Error{ErrorKind::unreachable, "503"};
  EXPECT_FALSE(settle_run(state, provider, run, clock));
  EXPECT_FALSE(stored().gone_at);
  EXPECT_FALSE(fs::exists(RunDirectory{run.run_dir}.receipt()));
}

TEST_F(SettleTest, CompletesTheAgentsReceipt) {
  Receipt receipt;
  receipt.run_id = run.run_id;
  receipt.instance_id = "i-1";
  receipt.reason = "spend_limit";
  receipt.exit_code = 14;
  receipt.created_at = FakeClock::kBegin;
  receipt.destroy_asked_at = FakeClock::kBegin + 95s;
  ASSERT_TRUE(make_folders(run.run_dir));
  ASSERT_TRUE(write_receipt(RunDirectory{run.run_dir}, receipt));
  provider.states = {InstanceState::gone};
  clock.elapsed = 100s;

  const auto over = settle_run(state, provider, run, clock);
  ASSERT_TRUE(over);
  EXPECT_TRUE(*over);
  EXPECT_EQ(stored().stop_reason, "spend_limit");
  EXPECT_TRUE(stored().gone_at);
  const auto complete = read_receipt(RunDirectory{run.run_dir});
  ASSERT_TRUE(complete);
  EXPECT_EQ(complete->state, ReceiptState::confirmed);
  EXPECT_EQ(complete->exit_code, 14);
  EXPECT_EQ(complete->cost, dollars(1));  // 100 s at $36 an hour
}

TEST_F(SettleTest, WritesTheReceiptWhenTheAgentCouldNot) {
  write_agent_status("uploading", 30s);
  provider.get_error = Error{ErrorKind::not_found, "no such instance"};
  const auto over = settle_run(state, provider, run, clock);
  ASSERT_TRUE(over);
  EXPECT_TRUE(*over);
  const auto receipt = read_receipt(RunDirectory{run.run_dir});
  ASSERT_TRUE(receipt);
  EXPECT_EQ(receipt->state, ReceiptState::confirmed);
  EXPECT_EQ(receipt->reason, "finished");
  EXPECT_EQ(receipt->safe_branches, std::vector<std::string>{"main"});
}

TEST_F(SettleTest, DoesNotCallAMachineGoneThatWasNeverSeen) {
  // The launcher died between asking and the answer: nothing listed proves nothing.
  KnownRun unsure = run;
  unsure.progress = {LaunchStage::creating, 1, {}};
  clock.elapsed = 1h;
  EXPECT_FALSE(*settle_run(state, provider, unsure, clock));
  EXPECT_FALSE(stored().never_created);
  // An hour later no provider still hides it.
  clock.elapsed = 1h + 1s;
  EXPECT_TRUE(*settle_run(state, provider, unsure, clock));
  EXPECT_TRUE(stored().never_created);
  EXPECT_FALSE(stored().gone_at);
}

TEST_F(SettleTest, LearnsOfAMachineThatTheLauncherDidNotLiveToNote) {
  ASSERT_TRUE(state.update(run.run_id, [](KnownRun& entry) {
    entry.progress = {LaunchStage::creating, 1, {}};
  }));
  provider.listed = {Instance{.id = "i-7",
                              .run_id = run.run_id,
                              .state = InstanceState::running,
                              .created_at = FakeClock::kBegin,
                              .ended_at = {},
                              .price = {},
                              .address = ""}};
  EXPECT_FALSE(*settle_run(state, provider, stored(), clock));
  EXPECT_EQ(stored().progress.id, "i-7");
}

TEST_F(SettleTest, LearnsFromTheReceiptOfAMachineThatNobodySaw) {
  ASSERT_TRUE(state.update(run.run_id, [](KnownRun& entry) {
    entry.progress = {LaunchStage::creating, 1, {}};
  }));
  Receipt receipt;
  receipt.run_id = run.run_id;
  receipt.instance_id = "i-7";
  receipt.reason = "finished";
  ASSERT_TRUE(make_folders(run.run_dir));
  ASSERT_TRUE(write_receipt(RunDirectory{run.run_dir}, receipt));
  provider.get_error = Error{ErrorKind::not_found, "no such instance"};
  EXPECT_TRUE(*settle_run(state, provider, stored(), clock));
  EXPECT_EQ(stored().stop_reason, "finished");
  EXPECT_EQ(stored().progress.id, "i-7");
  EXPECT_FALSE(stored().never_created);
}

TEST_F(SettleTest, GathersOrphansAndRunsThatMayBill) {
  provider.listed = {Instance{.id = "i-9",
                              .run_id = "bbbb11112222",
                              .state = InstanceState::running,
                              .created_at = FakeClock::kBegin,
                              .ended_at = {},
                              .price = {},
                              .address = ""}};
  const auto report =
      gather_status(state,
                    {[&](const std::string&) { return Result<Provider*>(&provider); },
                     {"fake"},
                     [](const KnownRun&) { return Status(Unit{}); }},
                    {}, clock);
  ASSERT_TRUE(report);
  ASSERT_EQ(report->orphans.size(), 1U);
  EXPECT_EQ(report->orphans[0].id, "i-9");
  ASSERT_EQ(report->runs.size(), 1U);
  EXPECT_EQ(report->runs[0].state, "booting");
  EXPECT_EQ(status_code(*report), ExitCode::orphan);
}

TEST_F(SettleTest, CallsTheAgentsNumbersStaleAfterAMinute) {
  clock.elapsed = 300s;
  const ProviderAnswer there = std::optional<Instance>(Instance{.id = "i-1",
                                                                .run_id = run.run_id,
                                                                .state = InstanceState::running,
                                                                .created_at = FakeClock::kBegin,
                                                                .ended_at = {},
                                                                .price = run.price,
                                                                .address = ""});
  write_agent_status("training", 60s);
  RunView view = view_run(run, there, clock.now());
  EXPECT_EQ(view.state, "training");
  EXPECT_EQ(view.attention, "");
  EXPECT_EQ(view.spent, dollars(3));  // 300 s at $36 an hour
  write_agent_status("training", 61s);
  view = view_run(run, there, clock.now());
  ASSERT_EQ(view.stale.size(), 1U);
  EXPECT_EQ(view.attention, "agent: no sign of life for 1m01s");
}

TEST_F(SettleTest, NamesTheProviderThatDoesNotAnswerAndKeepsTheNumbers) {
  write_agent_status("training", 1s);
  const RunView view =
      view_run(run, ProviderAnswer(Error{ErrorKind::unreachable, "503"}), clock.now());
  EXPECT_EQ(view.state, "training");
  EXPECT_EQ(view.stale, std::vector<std::string>{"provider: 503"});
  EXPECT_NE(view.attention, "");
}

}  // namespace
}  // namespace mayfly
