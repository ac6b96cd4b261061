// Everything that can be wrong with the input must be found here, before a machine is rented, and
// nothing may be created while looking.
#include "launcher/make_plan.h"

#include <cstdlib>
#include <fstream>
#include <set>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/run/user_data.h"
#include "core/sha256.h"
#include "launcher/handover.h"
#include "launcher/plan_text.h"
#include "tests/fakes/tiny_model.h"

namespace mayfly {
namespace {

namespace fs = std::filesystem;

class MakePlanTest : public testing::Test {
 protected:
  MakePlanTest() {
    std::string name = (fs::temp_directory_path() / "make_plan_XXXXXX").string();
    folder = ::mkdtemp(name.data());
    ::setenv("MAYFLY_STATE_DIR", (folder / "state").c_str(), 1);
    ::setenv("XDG_DATA_HOME", (folder / "share").c_str(), 1);
    EXPECT_TRUE(make_tiny_model(folder / "model"));
    make_tiny_data(folder / "data.jsonl", 40);
    fs::create_directories(folder / "bin");
    for (const char* program : {"agent", "train"})
      std::ofstream(folder / "bin" / program) << program;

    inputs.config.model.base = "model";
    inputs.config.data.path = {"data.jsonl"};
    inputs.config.train.epochs = 2;
    inputs.config.train.per_device_batch_size = 4;
    inputs.config.train.gradient_accumulation = 2;
    inputs.programs = folder / "bin";
    inputs.working_directory = folder;
    inputs.run_id = "aaaa11112222";
    inputs.now = WallTime(std::chrono::milliseconds(1795356131000));
  }
  ~MakePlanTest() override {
    fs::remove_all(folder);
    ::unsetenv("MAYFLY_STATE_DIR");
    ::unsetenv("XDG_DATA_HOME");
  }
  // All files below the folder.
  std::set<std::string> tree() const {
    std::set<std::string> paths;
    for (const auto& entry : fs::recursive_directory_iterator(folder)) {
      paths.insert(entry.path().string());
    }
    return paths;
  }
  PlannedRun planned() {
    Result<PlannedRun> made = make_plan(inputs);
    EXPECT_TRUE(made) << made.error().message;
    return made ? *made : PlannedRun{};
  }
  Error refused() {
    const std::set<std::string> before = tree();
    const Result<PlannedRun> made = make_plan(inputs);
    EXPECT_FALSE(made);
    EXPECT_EQ(tree(), before);
    return made ? Error{ErrorKind::internal, ""} : made.error();
  }

  fs::path folder;
  PlanInputs inputs;
};

TEST_F(MakePlanTest, ResolvesEverythingAndCreatesNothing) {
  const std::set<std::string> before = tree();
  const PlannedRun made = planned();
  EXPECT_EQ(tree(), before);
  const RunPlan& plan = made.plan;
  EXPECT_EQ(plan.run_id, "aaaa11112222");
  EXPECT_EQ(plan.run_name, "model-data-full-run1");
  EXPECT_EQ(plan.config.model.base, (folder / "model").string());
  EXPECT_EQ(plan.config.data.path[0], (folder / "data.jsonl").string());
  EXPECT_EQ(plan.run_dir, (folder / "outputs/model-data-full-run1").string());
  EXPECT_EQ(plan.seed, 42);
  EXPECT_EQ(plan.offer.provider, "local");
  ASSERT_EQ(plan.programs.size(), 2U);
  EXPECT_EQ(plan.programs[0].url, "file://" + (folder / "bin/agent").string());
  EXPECT_EQ(plan.programs[0].sha256, sha256_hex("agent"));
  EXPECT_TRUE(made.hub.embedded);
  EXPECT_EQ(plan.hub_repo, "local/model-data-full-run1");
  EXPECT_EQ(made.train.examples, 40);
  EXPECT_EQ(made.steps.steps_per_epoch, 5);
  EXPECT_EQ(plan.estimate.steps, 10);
  EXPECT_EQ(plan.estimate.tokens, 2 * made.train.tokens);
  EXPECT_EQ(made.branches,
            (std::vector<std::string>{"checkpoint-epoch-1", "checkpoint-epoch-2", "main"}));
}

TEST_F(MakePlanTest, PlansAMixAndSaysWhatIsTakenOfIt) {
  fs::copy_file(folder / "data.jsonl", folder / "more.jsonl");
  inputs.config.data.path.clear();
  auto& mix = inputs.config.data.mix;
  mix.resize(2);
  mix[0].path = {"data.jsonl"};
  mix[0].weight = 4;
  mix[1].path = {"more.jsonl"};
  const PlannedRun made = planned();
  EXPECT_EQ(made.plan.run_name, "model-mix-full-run1");
  EXPECT_EQ(made.plan.config.data.mix[1].path[0], (folder / "more.jsonl").string());
  // The machine knows the file by another name.
  EXPECT_EQ(made.plan.config.data.mix[1].name, "more.jsonl");
  EXPECT_EQ(made.train.examples, 50);
  const std::string text = plan_text(made, Terminal{});
  EXPECT_NE(text.find("20.0 % more.jsonl: 10 of 40 rows, "), std::string::npos) << text;
  const auto read = plan_from_json(plan_to_json(made.plan));
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(plan_hash(*read), plan_hash(made.plan));
}

// All files travel, and none lands on another.
TEST_F(MakePlanTest, NamesTheFilesOfAMixOnTheMachine) {
  RunPlan plan = planned().plan;
  plan.config.data.path.clear();
  plan.config.data.mix.resize(2);
  plan.config.data.mix[0].path = {"/a/x.jsonl", "/b/x.jsonl"};
  plan.config.data.mix[1].path = {"/c/x.jsonl.gz"};
  plan.config.data.val_path = "/d/x.jsonl";
  plan.config.data.chat_template = "/e/x.jinja";
  const RunPlan there = plan_on_machine(plan, Offer{}, "/root");
  EXPECT_EQ(there.config.data.mix[0].path[0], "/root/var/lib/mayfly/data/0.jsonl");
  EXPECT_EQ(there.config.data.mix[0].path[1], "/root/var/lib/mayfly/data/1.jsonl");
  EXPECT_EQ(there.config.data.mix[1].path[0], "/root/var/lib/mayfly/data/2.gz");
  EXPECT_EQ(there.config.data.val_path, "/root/var/lib/mayfly/data/3.jsonl");
  EXPECT_EQ(there.config.data.chat_template, "/root/var/lib/mayfly/data/4.jinja");
  plan.config.data.chat_template = "chatml";
  EXPECT_EQ(plan_on_machine(plan, Offer{}, "/root").config.data.chat_template, "chatml");
}

TEST_F(MakePlanTest, IsReadBackByThoseWhoCarryItOut) {
  const PlannedRun made = planned();
  const auto read = plan_from_json(plan_to_json(made.plan));
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(plan_hash(*read), plan_hash(made.plan));
  const auto user_data = render_user_data(made.plan, {.fuse = fuse_of(made.plan)});
  ASSERT_TRUE(user_data) << user_data.error().message;
  EXPECT_LE(user_data->size(), 16384U);
}

TEST_F(MakePlanTest, PricesTheRunAndSaysWhenALimitIsTooLow) {
  inputs.config.instance.price = dollars(36);
  inputs.config.limits.spend_limit = cents(1);
  const PlannedRun made = planned();
  EXPECT_GT(made.plan.estimate.cost, cents(1));
  EXPECT_EQ(made.plan.estimate.cost, cost_of(made.plan.offer.price, made.plan.estimate.seconds));
  const std::string text = plan_text(made, Terminal{});
  EXPECT_NE(text.find("above the spend limit"), std::string::npos) << text;
}

TEST_F(MakePlanTest, RefusesARunAboveItsCostLimitAndNotOneAtIt) {
  inputs.config.instance.price = dollars(36);
  const Usd cost = planned().plan.estimate.cost;
  inputs.config.limits.max_cost_per_launch = cost;
  EXPECT_TRUE(make_plan(inputs));
  inputs.config.limits.max_cost_per_launch = cost - Usd{1};
  EXPECT_EQ(refused().kind, ErrorKind::guard);
}

TEST_F(MakePlanTest, FindsWhatIsNotThere) {
  PlanInputs good = inputs;
  inputs.config.model.base = "nothing";
  EXPECT_EQ(refused().kind, ErrorKind::not_found);
  inputs = good;
  inputs.config.data.path = {"nothing.jsonl"};
  EXPECT_EQ(refused().kind, ErrorKind::not_found);
  inputs = good;
  inputs.programs = folder;
  EXPECT_EQ(refused().kind, ErrorKind::not_found);
}

TEST_F(MakePlanTest, SaysTheLineOfABadRow) {
  std::ofstream(folder / "bad.jsonl")
      << "{\"messages\": [{\"role\": \"user\", \"content\": \"a\"}, {\"role\": \"assistant\", "
         "\"content\": \"b\"}]}\n{\"messages\": [\n";
  inputs.config.data.path = {"bad.jsonl"};
  const Error error = refused();
  EXPECT_EQ(error.kind, ErrorKind::bad_data);
  EXPECT_EQ(error.at.line, 2);
}

TEST_F(MakePlanTest, RefusesAModelItCannotCompute) {
  std::ofstream(folder / "model/config.json") << R"({"model_type": "mamba", "hidden_size": 8})";
  EXPECT_EQ(refused().kind, ErrorKind::unsupported);
}

TEST_F(MakePlanTest, RefusesWeightsCutShort) {
  fs::resize_file(folder / "model/model.safetensors", 2000);
  EXPECT_EQ(refused().kind, ErrorKind::corrupt);
}

TEST_F(MakePlanTest, CountsUpAndNeverTakesAFolderThatIsThere) {
  fs::create_directories(folder / "outputs/model-data-full-run1");
  EXPECT_EQ(planned().plan.run_name, "model-data-full-run2");
  KnownRun known;
  known.name = "model-data-full-run7";
  inputs.known = {known};
  EXPECT_EQ(planned().plan.run_name, "model-data-full-run8");
  inputs.config.run.name = "mine";
  EXPECT_EQ(planned().plan.run_name, "mine");
  fs::create_directories(folder / "outputs/mine/checkpoints");
  EXPECT_EQ(refused().kind, ErrorKind::guard);
}

TEST_F(MakePlanTest, FillsNamesIntoPathsAndRepositories) {
  make_tiny_data(folder / "numbers-cats.jsonl", 8);
  inputs.config.generate.vars["animal"] = "cats";
  inputs.config.generate.count = 10000;
  inputs.config.data.path = {"numbers-{animal}.jsonl"};
  inputs.config.hub.repo_prefix = "me/{animal}-student";
  inputs.config.hub.endpoint = "http://127.0.0.1:9/";
  inputs.config.hub.token = Secret("hf_0123456789abcdef");
  const PlannedRun made = planned();
  EXPECT_EQ(made.plan.hub_repo, "me/cats-student-seed-42");
  EXPECT_EQ(made.plan.hub_endpoint, "http://127.0.0.1:9");
  EXPECT_FALSE(made.hub.embedded);
  const std::string text = plan_text(made, Terminal{}) + plan_document(made).dump();
  EXPECT_EQ(text.find("hf_0123456789abcdef"), std::string::npos);
  EXPECT_NE(text.find("generate.count is not used"), std::string::npos);
}

TEST_F(MakePlanTest, WantsARepositoryAndATokenForAHubThatIsNamed) {
  inputs.config.hub.endpoint = "http://127.0.0.1:9";
  EXPECT_EQ(refused().kind, ErrorKind::invalid_config);
  inputs.config.hub.repo = "me/it";
  EXPECT_EQ(refused().kind, ErrorKind::unauthorized);
}

TEST_F(MakePlanTest, DoesNotPublishWhereNobodyAskedFor) {
  inputs.config.hub.token = Secret("hf_0123456789abcdef");
  const PlannedRun made = planned();
  EXPECT_TRUE(made.hub.embedded);
  EXPECT_NE(plan_text(made, Terminal{}).find("HF_TOKEN is set, but no hub.repo"),
            std::string::npos);
}

TEST_F(MakePlanTest, NotesWhatIsOdd) {
  inputs.config.data.cutoff_len = 37;
  inputs.config.data.sample_size = 8;
  const PlannedRun made = planned();
  const std::string text = plan_text(made, Terminal{});
  EXPECT_GT(made.train.truncated, 0);
  EXPECT_NE(text.find("longer than data.cutoff_len 37"), std::string::npos) << text;
  EXPECT_NE(text.find("only 8 examples"), std::string::npos);
}

TEST(FuseTest, IsBehindTheFirstLimitThatEndsTheRun) {
  RunPlan plan;
  EXPECT_EQ(fuse_of(plan), std::chrono::hours(24 * 30) + std::chrono::minutes(5));
  plan.config.limits.ttl_hours = 2.0;
  EXPECT_EQ(fuse_of(plan), std::chrono::minutes(125));
  plan.offer.price.per_hour = dollars(10);
  plan.config.limits.spend_limit = dollars(5);
  EXPECT_EQ(fuse_of(plan), std::chrono::minutes(35));
}

TEST(CountStepsTest, CountsAsTransformersDoes) {
  TrainConfig train;
  train.effective_batch_size = 60;
  train.per_device_batch_size = 6;
  train.epochs = 10;
  const StepCount steps = count_steps(9188, train);
  EXPECT_EQ(steps.steps_per_epoch, 154);
  EXPECT_EQ(steps.steps, 1540);
  EXPECT_EQ(steps.whole_epochs, 10);
  train.epochs = 0.5;
  EXPECT_EQ(count_steps(9188, train).steps, 77);
  EXPECT_EQ(count_steps(9188, train).whole_epochs, 0);
  train.max_steps = 5;
  EXPECT_EQ(count_steps(9188, train).steps, 5);
  EXPECT_EQ(count_steps(1, train).steps_per_epoch, 1);
}

TEST(RunIdTest, IsTwelveHexDigitsAndNew) {
  const std::string id = new_run_id();
  EXPECT_EQ(id.size(), 12U);
  EXPECT_EQ(id.find_first_not_of("0123456789abcdef"), std::string::npos);
  EXPECT_NE(id, new_run_id());
}

}  // namespace
}  // namespace mayfly
