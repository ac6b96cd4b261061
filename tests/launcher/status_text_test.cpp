// What people see when they ask how it stands. The texts are whole, so that a change of them is
// looked at as a reader would.
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "launcher/status_report.h"

namespace mayfly {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const WallTime kNow{milliseconds(1795356131000)};  // 2026-11-22T14:02:11Z

KnownRun known(const std::string& name) {
  KnownRun run;
  run.run_id = "aaaa11112222";
  run.name = name;
  run.provider = "local";
  run.created_at = kNow - seconds(1800);
  run.progress = {LaunchStage::made, 1, "local-1"};
  run.price = {dollars(12), seconds(1)};
  run.spend_limit = dollars(10);
  run.run_dir = "/runs/" + name;
  run.hub_endpoint = "http://127.0.0.1:8377";
  run.hub_repo = "local/" + name;
  return run;
}

RunView training() {
  RunView view;
  view.known = known("dogs-run1");
  view.instance = Instance{.id = "local-1",
                           .run_id = "aaaa11112222",
                           .state = InstanceState::running,
                           .created_at = kNow - seconds(1800),
                           .ended_at = {},
                           .price = view.known.price,
                           .address = ""};
  RunStatus agent;
  agent.phase = "sft";
  agent.state = "training";
  agent.epoch = 1.4;
  agent.epochs = 2;
  agent.step = 36;
  agent.total_steps = 50;
  agent.loss = 1.28412;
  agent.eta_seconds = 190;
  agent.to_finish = cents(63);
  agent.updated_at = kNow - seconds(1);
  agent.uploads = {
      {.label = "checkpoint-epoch-1",
       .state = "safe",
       .step = 25,
       .commit = "abc",
       .message = "",
       .at = kNow - seconds(660)},
      {.label = "logs", .state = "queued", .step = 0, .commit = "", .message = "", .at = {}}};
  agent.guards = {{.name = "spend", .limit = 10, .unit = "USD", .left_seconds = 1140},
                  {.name = "idle", .limit = 1800, .unit = "seconds", .left_seconds = 1798}};
  view.agent = agent;
  view.state = "training";
  view.spent = dollars(6);
  return view;
}

StatusReport report(std::vector<RunView> runs) {
  StatusReport report;
  report.time = kNow;
  report.runs = std::move(runs);
  return report;
}

TEST(StatusTextTest, ShowsARunInTheMiddle) {
  EXPECT_EQ(
      status_text(report({training()}), Terminal{}),
      "RUN        PHASE      STEP    LOSS    ETA  INSTANCE       STATE     SPENT  TO FINISH   "
      "LIMIT\n"
      "dogs-run1  sft 1.4/2  36/50  1.284  3m10s  local local-1  training  $6.00     +$0.63  "
      "$10.00\n"
      "  upload:  checkpoint-epoch-1 ok 13:51 · 1 queued\n"
      "  guard:   spend $10.00 (19m00s left) · idle 30m00s (29m58s left)\n"
      "  look:    /runs/dogs-run1 · http://127.0.0.1:8377/local/dogs-run1\n"
      "orphans: none · as of 14:02:11Z\n");
}

TEST(StatusTextTest, SaysHowARunEnded) {
  RunView view = training();
  view.state = "gone";
  view.known.gone_at = kNow;
  view.known.stop_reason = "finished";
  view.agent->detail = "all epochs are trained";
  view.receipt = Receipt{};
  view.receipt->state = ReceiptState::confirmed;
  const std::string text = status_text(report({view}), Terminal{});
  EXPECT_NE(text.find("  end:     finished: all epochs are trained · destroyed, receipt "
                      "confirmed\n"),
            std::string::npos)
      << text;
  EXPECT_EQ(text.find("guard:"), std::string::npos);
  EXPECT_EQ(text.find("+$"), std::string::npos);
}

TEST(StatusTextTest, ShowsWhatNeedsAttentionAndNamesOrphans) {
  RunView view = training();
  view.state = "failed";
  view.stale = {"agent: no sign of life for 2m05s"};
  view.attention = "its machine has died and still bills: end it with `launch down dogs-run1`";
  StatusReport all = report({view});
  all.orphans.push_back({*training().instance, "local"});
  const std::string text = status_text(all, Terminal{});
  EXPECT_NE(text.find("  ATTENTION: its machine has died"), std::string::npos) << text;
  EXPECT_NE(text.find("  stale:   agent: no sign of life for 2m05s\n"), std::string::npos);
  EXPECT_NE(text.find("ORPHAN local-1"), std::string::npos);
  EXPECT_EQ(status_code(all), ExitCode::orphan);
  EXPECT_EQ(status_code(report({view})), ExitCode::needs_attention);
  EXPECT_EQ(status_code(report({training()})), ExitCode::ok);
}

TEST(StatusTextTest, ShowsARunWithoutAnyWordFromItsAgent) {
  RunView view;
  view.known = known("young");
  view.state = "booting";
  const std::string text = status_text(report({view}), Terminal{});
  EXPECT_NE(text.find("young  -      -        -    -  local local-1  booting"), std::string::npos)
      << text;
}

TEST(StatusTextTest, SaysThatThereIsNothing) {
  EXPECT_EQ(status_text(report({}), Terminal{}), "no runs\norphans: none · as of 14:02:11Z\n");
}

TEST(StatusJsonTest, HasTheFieldsOfTheSchema) {
  StatusReport all = report({training()});
  all.errors.push_back({ErrorKind::unreachable, "503"});
  const nlohmann::json json = status_json(all);
  EXPECT_EQ(json["schema"], "mayfly.status/1");
  EXPECT_EQ(json["time"], "2026-11-22T14:02:11.000Z");
  EXPECT_EQ(json["errors"][0], "503");
  EXPECT_TRUE(json["orphans"].empty());
  const nlohmann::json& run = json["runs"][0];
  for (const char* key :
       {"name", "phase", "stage", "epoch", "step", "total_steps", "loss", "tokens_per_second",
        "eta_seconds", "state", "instance", "spend", "uploads", "guards", "stale"}) {
    EXPECT_TRUE(run.contains(key)) << key;
  }
  EXPECT_EQ(run["state"], "training");
  EXPECT_EQ(run["instance"]["state"], "running");
  EXPECT_EQ(run["spend"]["usd"], 6.0);
  EXPECT_EQ(run["spend"]["rate_usd_per_hour"], 12.0);
  EXPECT_EQ(run["spend"]["limit_usd"], 10.0);
  EXPECT_EQ(run["spend"]["to_finish_usd"], 0.63);
  EXPECT_EQ(run["uploads"][0]["label"], "checkpoint-epoch-1");
}

}  // namespace
}  // namespace mayfly
