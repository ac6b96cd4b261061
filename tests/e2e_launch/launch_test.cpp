// What a user does, with real processes from the command line to the machine's end: nothing may be
// created by looking, nothing may be left running, the bill and the branches must be there, and a
// user who stops watching must not stop the run.
#include <csignal>

#include <gmock/gmock.h>

#include "core/spawn.h"
#include "tests/e2e_launch/launch_fixture.h"

namespace mayfly {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using nlohmann::json;
using testing::HasSubstr;

TEST_F(LaunchTest, LookingCreatesNothing) {
  const auto before = tree();
  for (const char* words :
       {"run.yaml --dry-run", "plan run.yaml --json", "run.yaml --dry-run --user-data",
        "name run.yaml", "doctor run.yaml", "config check run.yaml", "--help", "completion bash",
        "data preview -c run.yaml", "data check -c run.yaml", "data stats -c run.yaml", "data chew",
        "nope.yaml", "run.yaml --epochs x", "run.yaml --data nothing.jsonl", "logs",
        "down --all"}) {
    run("launch", words);
    EXPECT_EQ(tree(), before) << words;
  }
  EXPECT_EQ(run("status", "").code, 0);
  EXPECT_EQ(tree(), before);
}

TEST_F(LaunchTest, LooksAtDataBeforeItIsPaidFor) {
  const Answer preview = run("launch", "data preview -c run.yaml --rows 2");
  ASSERT_EQ(preview.code, 0) << preview.err;
  EXPECT_NE(preview.out.find("data.jsonl:2  "), std::string::npos) << preview.out;
  EXPECT_EQ(preview.out.find("data.jsonl:3  "), std::string::npos);
  EXPECT_NE(preview.out.find("[["), std::string::npos);
  const Answer rows = run("launch", "data preview -c run.yaml --rows all --json");
  EXPECT_EQ(std::count(rows.out.begin(), rows.out.end(), '\n'), 16);
  EXPECT_EQ(run("launch", "data check -c run.yaml --set data.cutoff_len=8").code, 13);
  const Answer stats = run("launch", "data stats --model model --data data.jsonl --json");
  const auto document = parse_json(stats.out, "stats");
  ASSERT_TRUE(document) << stats.err;
  EXPECT_EQ((*document)["rows"], 16);
  EXPECT_EQ(run("launch", "data preview -c run.yaml --rows 0").code, 2);
}

TEST_F(LaunchTest, RunsToTheEndAndProvesThatTheMachineIsGone) {
  const Answer answer = run("launch", "run.yaml --wait --price 36");
  ASSERT_EQ(answer.code, 0) << answer.out << answer.err;
  EXPECT_NE(answer.out.find("is gone, confirmed by the provider's listing"), std::string::npos)
      << answer.out;
  EXPECT_NE(answer.out.find("PeftModel.from_pretrained"), std::string::npos);
  EXPECT_EQ(machines_running(), 0);
  EXPECT_EQ(branches("local/one"),
            (std::vector<std::string>{"checkpoint-epoch-1", "checkpoint-epoch-2", "main"}));

  const json status = status_of("one");
  EXPECT_EQ(status["state"], "gone");
  EXPECT_EQ(status["receipt"], "confirmed");
  EXPECT_EQ(status["exit_code"], 0);
  EXPECT_GT(status["spend"]["usd"].get<double>(), 0.0);
  EXPECT_EQ(run("launch", "receipt one --verify").code, 0);
  EXPECT_EQ(run("launch", "pull one --to pulled").code, 0);
  EXPECT_TRUE(fs::exists(root / "pulled/adapter_model.safetensors"));
  const Answer logs = run("launch", "logs one --stage agent");
  EXPECT_NE(logs.out.find("agent | "), std::string::npos);
  // What was run can be run again, from the run directory alone.
  const Answer again = run("launch", "plan outputs/one/config.resolved.yaml --run-name two --json");
  ASSERT_EQ(again.code, 0) << again.err;
  const auto plan = parse_json(again.out, "plan");
  ASSERT_TRUE(plan);
  EXPECT_EQ((*plan)["plan"]["config"]["instance"]["price"], "36");
  // The same name again would overwrite the run directory.
  EXPECT_EQ(run("launch", "run.yaml --wait").code, 8);
}

TEST_F(LaunchTest, SaysInJsonHowARunEnded) {
  const Answer answer = run("launch", "run.yaml --wait --json");
  ASSERT_EQ(answer.code, 0) << answer.err;
  const auto document = parse_json(answer.out, "answer");
  ASSERT_TRUE(document) << answer.out;
  EXPECT_EQ((*document)["ok"], true);
  EXPECT_EQ((*document)["run"]["name"], "one");
  EXPECT_EQ((*document)["run"]["state"], "gone");
}

TEST_F(LaunchTest, GoesOnWithoutTheTerminalAndStopsInGoodOrder) {
  write_run_file("paths: {outputs_dir: runs}\n");
  const Answer answer = run("launch", "run.yaml --set generate.vars.steps_per_epoch=1000");
  ASSERT_EQ(answer.code, 0) << answer.err;
  EXPECT_NE(answer.out.find("status one"), std::string::npos);
  ASSERT_TRUE(wait_for([&] { return status_of("one")["step"].get<int>() > 3; }, 20s));
  const json status = status_of("one");
  EXPECT_EQ(status["state"], "training");
  EXPECT_EQ(status["instance"]["state"], "running");
  const Answer table = run("status", "");
  EXPECT_EQ(table.code, 0) << table.out;
  EXPECT_NE(table.out.find("training"), std::string::npos) << table.out;
  // The name is taken as long as its machine may bill.
  EXPECT_EQ(run("launch", "run.yaml").code, 8);

  EXPECT_EQ(run("launch", "stop one").code, 0);
  ASSERT_TRUE(wait_for([&] { return status_of("one")["state"] == "gone"; }, 30s));
  EXPECT_EQ(status_of("one")["receipt"], "confirmed");
  EXPECT_TRUE(fs::exists(root / "runs/one/checkpoints"));
}

TEST_F(LaunchTest, DestroysAtOnceWhenAskedTo) {
  ASSERT_EQ(run("launch", "run.yaml --set generate.vars.steps_per_epoch=1000").code, 0);
  const Answer down = run("launch", "down one");
  EXPECT_EQ(down.code, 0) << down.err;
  EXPECT_NE(down.out.find("one: gone"), std::string::npos);
  EXPECT_EQ(machines_running(), 0);
  EXPECT_EQ(status_of("one")["state"], "gone");
  EXPECT_EQ(run("launch", "receipt one").code, 0);
}

TEST_F(LaunchTest, EndsByTheSpendLimitWithItsExitCode) {
  // A dollar a second; the limit leaves some seconds, two of them for saving.
  const Answer answer = run("launch",
                            "run.yaml --wait --price 3600 --spend-limit 14 --set limits.reserve=2s "
                            "--set generate.vars.steps_per_epoch=1000");
  EXPECT_EQ(answer.code, 14) << answer.out << answer.err;
  const json status = status_of("one");
  EXPECT_LE(status["spend"]["usd"].get<double>(), 14.0);
  EXPECT_EQ(status["receipt"], "confirmed");
}

TEST_F(LaunchTest, LetsTheRunGoOnWhenTheWatcherLeaves) {
  SpawnSpec spec;
  spec.argv = {programs + "/launch", "run.yaml", "-f", "--set",
               "generate.vars.steps_per_epoch=1000"};
  spec.environment = environment();
  spec.folder = root;
  spec.output = root / "watcher.txt";
  const auto watcher = spawn(spec);
  ASSERT_TRUE(watcher);
  ASSERT_TRUE(wait_for(
      [&] {
        const auto text = read_file(root / "watcher.txt");
        return text && text->find("step 2/") != std::string::npos;
      },
      30s));
  ::kill(*watcher, SIGINT);
  const auto code = wait_for_exit(*watcher, 10s);
  ASSERT_TRUE(code);
  EXPECT_EQ(*code, 130);
  const std::string said = *read_file(root / "watcher.txt");
  EXPECT_NE(said.find("one goes on"), std::string::npos) << said;
  EXPECT_NE(said.find("launch stop one"), std::string::npos) << said;
  EXPECT_GT(machines_running(), 0);
  EXPECT_EQ(status_of("one")["state"], "training");
}

TEST_F(LaunchTest, ReportsATrainerThatFails) {
  const Answer answer = run("launch", "run.yaml --wait --set generate.vars.crash_at=2");
  EXPECT_EQ(answer.code, 10) << answer.out << answer.err;
  EXPECT_EQ(status_of("one")["receipt"], "confirmed");
}

TEST_F(LaunchTest, TrainsAModelThatIsNamedByItsHubId) {
  // The first run starts the hub; then there is one to put a model on.
  ASSERT_EQ(run("launch", "run.yaml --wait -q").code, 0);
  HubClient hub(hub_address(), "local/tiny");
  std::vector<StoreUpload> files;
  for (const auto& entry : fs::directory_iterator(root / "model")) {
    files.push_back({entry.path(), entry.path().filename().string()});
  }
  ASSERT_TRUE(hub.store.ensure_repository());
  const auto commit = hub.store.commit("main", "a model", files);
  ASSERT_TRUE(commit) << commit.error().message;

  const std::string words = "run.yaml --base-model local/tiny --run-name two";
  const Answer plan = run("launch", words + " --dry-run");
  EXPECT_EQ(plan.code, 0) << plan.err;
  EXPECT_NE(plan.out.find("local/tiny at commit " + commit->commit.substr(0, 12)),
            std::string::npos)
      << plan.out;
  const Answer answer = run("launch", words + " --wait");
  EXPECT_EQ(answer.code, 0) << answer.out << answer.err;
  EXPECT_TRUE(fs::exists(root / "outputs/two/model/model.safetensors"));

  // The same hub as one that a user names, with a token of one's own.
  const std::string named =
      "run.yaml --run-name three --repo me/student --set hub.endpoint=" + hub_address().endpoint +
      " --set hub.token=";
  const Answer refused = run("launch", named + "hf_000000000000000000000000");
  EXPECT_EQ(refused.code, 6) << refused.err;
  EXPECT_FALSE(fs::exists(root / "outputs/three"));
  EXPECT_EQ(run("launch", named + hub_address().token.reveal() + " --wait").code, 0);
  EXPECT_EQ(branches("me/student").size(), 3U);
  const Answer missing = run("launch", "run.yaml --base-model local/none --run-name four");
  EXPECT_EQ(missing.code, 5) << missing.err;
}

TEST_F(LaunchTest, PutsErrorsOnStandardErrorOnlyAsOneJsonLine) {
  std::ofstream(root / "bad.yaml") << "model: {base: model}\ndata: {path: data.jsonl}\ntrian: 1\n";
  const Answer answer = run("launch", "bad.yaml --json");
  EXPECT_EQ(answer.code, 2);
  EXPECT_EQ(answer.out, "");
  EXPECT_EQ(std::count(answer.err.begin(), answer.err.end(), '\n'), 1);
  const auto document = parse_json(answer.err, "error");
  ASSERT_TRUE(document) << answer.err;
  EXPECT_EQ((*document)["error"]["location"]["line"], 3);
  EXPECT_EQ((*document)["error"]["exit_code"], 2);
}

// Each would make a token and start a hub; all must end with the same.
TEST_F(LaunchTest, StartsOneHubForAllThatAskAtTheSameTime) {
  const std::string ask = programs + "/launch hub ls local/none";
  shell("for i in 1 2 3 4; do " + ask + " >hub.$i 2>&1 & done; wait");
  for (const char* i : {"1", "2", "3", "4"}) {
    const std::string said = *read_file(root / ("hub." + std::string(i)));
    EXPECT_THAT(said, HasSubstr("404")) << "the hub took the token, and has no such repository";
  }
}

// After a reboot the note of the last hub may name a port on which somebody else's hub is now.
TEST_F(LaunchTest, DoesNotTakeAnotherHubForItsOwn) {
  run("launch", "hub ls local/none");
  const json ready = *parse_json(*read_file(root / "state/localhub.json"), "ready file");
  const std::string others = "XDG_DATA_HOME='" + (root / "other").string() +
                             "' MAYFLY_STATE_DIR='" + (root / "other_state").string() + "' ";
  fs::create_directory(root / "other_state");
  fs::copy_file(root / "state/localhub.json", root / "other_state/localhub.json");
  const Answer answer = shell(others + programs + "/launch hub ls local/none");
  EXPECT_THAT(answer.err, HasSubstr("404"));
  const json theirs = *parse_json(*read_file(root / "other_state/localhub.json"), "ready file");
  EXPECT_NE(theirs["pid"], ready["pid"]);
  ::kill(theirs["pid"].get<pid_t>(), SIGTERM);
}

}  // namespace
}  // namespace mayfly
