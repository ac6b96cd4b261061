// Whole runs of the real program on a model of two layers: what comes out, and what is left when it
// is killed, stopped, or runs out of room at any moment. A run that was disturbed must end with the
// same bytes as one that was not: that is what makes cheap, unreliable machines usable.
#include "trainer/sft.h"

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <sstream>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/json.h"
#include "core/run/event.h"
#include "core/run/plan.h"
#include "tests/trainer/test_folder.h"
#include "tests/trainer/tiny_model.h"
#include "tests/trainer/train_process.h"
#include "trainer/checkpoint.h"

namespace mayfly {
namespace {

namespace fs = std::filesystem;

// Three epochs of 12 steps, the last of each smaller; dropout and shuffling, so that the random
// numbers matter; checkpoints that are not at epoch ends.
constexpr const char* kConfig = R"(
model: {base: model}
run: {name: tiny}
data: {path: [train.jsonl], val_path: val.jsonl, cutoff_len: 192}
lora: {r: 4, alpha: 8, dropout: 0.1}
train:
  {epochs: 3, per_device_batch_size: 1, gradient_accumulation: 2, learning_rate: 1e-2, threads: 1,
   device: cpu, warmup_steps: 3, save_steps: 5, eval_steps: 9, logging_steps: 4, bf16: false}
)";

class SftTest : public TestFolder {
 protected:
  SftTest() : run_{folder_ / "outputs" / "tiny"} {
    write_tiny_model(folder_ / "model");
    EXPECT_TRUE(write_file(folder_ / "train.jsonl", tiny_conversations(23)));
    EXPECT_TRUE(write_file(folder_ / "val.jsonl", tiny_conversations(5)));
    EXPECT_TRUE(write_file(folder_ / "run.yaml", kConfig));
  }

  std::vector<std::string> arguments(std::vector<std::string> more = {}) const {
    more.insert(more.begin(), {"sft", "-c", "run.yaml"});
    return more;
  }
  int train(std::vector<std::string> more = {}) {
    TrainProcess process(folder_, arguments(std::move(more)));
    const int code = process.wait();
    out_ = process.out();
    err_ = process.err();
    return code;
  }

  std::vector<Event> events() const {
    std::vector<Event> found;
    const Result<std::string> text = read_file(run_.events());
    if (!text) return found;
    std::istringstream lines(*text);
    for (std::string line; std::getline(lines, line);) {
      const auto event = parse_event(line);
      if (event && *event) found.push_back(**event);
    }
    return found;
  }
  template <class T>
  std::vector<T> events_of() const {
    std::vector<T> found;
    for (const Event& event : events()) {
      if (const T* body = std::get_if<T>(&event.body)) found.push_back(*body);
    }
    return found;
  }
  bool has_step(std::int64_t step) const {
    const auto steps = events_of<StepEvent>();
    return std::any_of(steps.begin(), steps.end(),
                       [&](const StepEvent& event) { return event.step >= step; });
  }
  std::string adapter_bytes() const {
    const Result<std::string> bytes = read_file(run_.adapter() / "adapter_model.safetensors");
    EXPECT_TRUE(bytes);
    return bytes ? *bytes : "";
  }

  const RunDirectory run_;
  std::string out_, err_;
};

TEST_F(SftTest, TrainsAndLeavesEverythingInItsPlace) {
  ASSERT_EQ(train(), 0) << err_;
  EXPECT_EQ(out_, run_.adapter().string() + "\n");
  for (const char* name : {"adapter_model.safetensors", "adapter_config.json", "tokenizer.json",
                           "tokenizer_config.json", "README.md"}) {
    EXPECT_TRUE(fs::exists(run_.adapter() / name)) << name;
  }
  EXPECT_EQ(checkpoint_steps(run_), (std::vector<std::int64_t>{35, 36}));
  EXPECT_TRUE(read_checkpoint(run_.checkpoint(36)));

  const std::vector<Event> all = events();
  for (std::size_t i = 0; i < all.size(); ++i) EXPECT_EQ(all[i].seq, static_cast<int>(i));
  EXPECT_TRUE(std::holds_alternative<StartedEvent>(all.front().body));
  const auto& finished = std::get<FinishedEvent>(all.back().body);
  EXPECT_EQ(finished.steps, 36);
  EXPECT_FALSE(finished.stopped);
  EXPECT_EQ(finished.path, "adapter");

  const auto steps = events_of<StepEvent>();
  ASSERT_EQ(steps.size(), 36U);
  EXPECT_EQ(steps[0].learning_rate, 0.0);  // warm-up begins at nothing
  EXPECT_NEAR(steps[3].learning_rate, 1e-2, 1e-12);
  EXPECT_EQ(steps[11].epoch, 1.0);
  EXPECT_LT(steps[35].loss, 0.8 * steps[0].loss);

  std::vector<std::pair<std::int64_t, std::int64_t>> saved;
  for (const auto& event : events_of<CheckpointEvent>()) {
    saved.emplace_back(event.step, event.whole_epoch.value_or(0));
  }
  EXPECT_EQ(saved, (std::vector<std::pair<std::int64_t, std::int64_t>>{{5, 0},
                                                                       {10, 0},
                                                                       {12, 1},
                                                                       {15, 0},
                                                                       {20, 0},
                                                                       {24, 2},
                                                                       {25, 0},
                                                                       {30, 0},
                                                                       {35, 0},
                                                                       {36, 3}}));
  std::vector<std::int64_t> evaluated;
  for (const auto& event : events_of<EvaluatedEvent>()) evaluated.push_back(event.step);
  EXPECT_EQ(evaluated, (std::vector<std::int64_t>{0, 9, 18, 27, 36}));
  EXPECT_LT(events_of<EvaluatedEvent>().back().loss, events_of<EvaluatedEvent>().front().loss);

  const std::string card = *read_file(run_.adapter() / "README.md");
  EXPECT_NE(card.find("| 3 | 36 |"), std::string::npos);
  EXPECT_NE(card.find("before training"), std::string::npos);
}

TEST_F(SftTest, LeavesTheFilesThatTheDocumentationNamesAndNoOthers) {
  ASSERT_EQ(train({"--max-steps", "4"}), 0) << err_;
  const std::string page = *read_file(MAYFLY_SOURCE_DIR "/docs/run_directory.md");
  const auto names_in = [](const fs::path& folder) {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder)) {
      names.push_back(entry.path().filename().string());
    }
    return names;
  };
  for (const std::string& name : names_in(run_.checkpoint(4))) {
    const bool by_pattern = name.starts_with("tokenizer");
    EXPECT_NE(page.find("`" + (by_pattern ? "tokenizer*" : name) + "`"), std::string::npos) << name;
  }
  for (const std::string& name : names_in(run_.root)) {
    EXPECT_NE(page.find("|-- " + name), std::string::npos) << name;
  }
  for (const char* name :
       {"adapter_model.safetensors", "adapter_config.json", "README.md", "optimizer.safetensors",
        "trainer_state.json", "resume.json", "manifest.json"}) {
    EXPECT_NE(page.find("| `" + std::string(name) + "` |"), std::string::npos) << name;
    EXPECT_TRUE(fs::exists(run_.checkpoint(4) / name)) << name;
  }
}

TEST_F(SftTest, EndsWithTheSameBytesHoweverOftenItIsKilled) {
  ASSERT_EQ(train(), 0) << err_;
  const std::string undisturbed = adapter_bytes();
  std::map<std::int64_t, std::pair<double, double>> losses;
  for (const auto& step : events_of<StepEvent>()) losses[step.step] = {step.loss, step.grad_norm};
  std::map<std::int64_t, double> held_out;
  for (const auto& event : events_of<EvaluatedEvent>()) held_out[event.step] = event.loss;
  fs::remove_all(run_.root);

  constexpr int kMostKills = 10;  // each costs a start, which is most of the time this takes
  std::mt19937 random(20);
  int kills = 0;
  for (bool done = false; !done;) {
    TrainProcess process(folder_, arguments());
    const std::size_t before = events().size();
    // Somewhere in the next dozen events: in loading, a step, an evaluation, a checkpoint.
    const std::size_t target = before + 4 + random() % 14;
    done = !process.wait_until([&] { return events().size() >= target; }) || kills == kMostKills;
    if (done) {
      ASSERT_EQ(process.wait(), 0) << process.err();
      break;
    }
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 3000));
    process.signal(SIGKILL);
    const int code = process.wait();
    if (code == 0) break;  // it was faster
    ASSERT_EQ(code, -SIGKILL);
    ++kills;
  }
  EXPECT_GE(kills, 4);
  EXPECT_EQ(adapter_bytes(), undisturbed);
  std::set<std::int64_t> seen;
  for (const auto& step : events_of<StepEvent>()) {
    EXPECT_EQ(losses[step.step], std::pair(step.loss, step.grad_norm)) << "step " << step.step;
    seen.insert(step.step);
  }
  EXPECT_EQ(seen.size(), losses.size());
  std::map<std::int64_t, double> held_out_again;
  for (const auto& event : events_of<EvaluatedEvent>()) held_out_again[event.step] = event.loss;
  EXPECT_EQ(held_out_again, held_out);
  const std::vector<Event> all = events();
  for (std::size_t i = 0; i < all.size(); ++i) EXPECT_EQ(all[i].seq, static_cast<int>(i));
}

TEST_F(SftTest, TellsOfACheckpointThatItDiedBeforeTellingOf) {
  ASSERT_EQ(train(), 0) << err_;
  // As if killed between the rename and the event: the checkpoint is there, nobody knows.
  const std::string text = *read_file(run_.events());
  const std::size_t event = text.rfind("\"event\":\"checkpoint\"");
  ASSERT_TRUE(write_file(run_.events(), text.substr(0, text.rfind('\n', event) + 1)));
  ASSERT_NE(events_of<CheckpointEvent>().back().step, 36);
  ASSERT_EQ(train(), 0) << err_;
  const CheckpointEvent told = events_of<CheckpointEvent>().back();
  EXPECT_EQ(told.step, 36);
  EXPECT_EQ(told.whole_epoch, 3);
  EXPECT_EQ(told.path, "checkpoints/checkpoint-36");
  std::int64_t bytes = 0;
  for (const auto& entry : fs::directory_iterator(run_.checkpoint(36))) {
    bytes += static_cast<std::int64_t>(entry.file_size());
  }
  EXPECT_EQ(told.bytes, bytes);
}

TEST_F(SftTest, StopsSavedWhenAskedAndGoesOnToTheSameEnd) {
  ASSERT_EQ(train(), 0) << err_;
  const std::string undisturbed = adapter_bytes();
  fs::remove_all(run_.root);
  {
    TrainProcess process(folder_, arguments());
    ASSERT_TRUE(process.wait_until([&] { return has_step(7); }));
    process.signal(SIGTERM);
    ASSERT_EQ(process.wait(), 0) << process.err();
  }
  const auto finished = events_of<FinishedEvent>();
  ASSERT_EQ(finished.size(), 1U);
  EXPECT_TRUE(finished[0].stopped);
  EXPECT_EQ(finished[0].path, "");
  EXPECT_EQ(events_of<StepEvent>().back().step, finished[0].steps);
  EXPECT_EQ(checkpoint_steps(run_).back(), finished[0].steps);
  EXPECT_FALSE(fs::exists(run_.adapter()));
  ASSERT_EQ(train(), 0) << err_;
  EXPECT_EQ(events_of<StartedEvent>().back().resumed_from_step, finished[0].steps);
  EXPECT_EQ(adapter_bytes(), undisturbed);
}

TEST_F(SftTest, AMixByATemplateOfItsOwnIsTheSameAfterGoingOn) {
  ASSERT_TRUE(write_file(folder_ / "more.jsonl", tiny_conversations(40)));
  ASSERT_TRUE(write_file(folder_ / "mine.jinja",
                         "{% for m in messages %}<|im_start|>{{ m.role }}: {{ m.content }}"
                         "<|im_end|>{% endfor %}"));
  const std::vector<std::string> mixed = {
      "--set", "data.path=null",
      "--set", "data.mix=[{path: train.jsonl, weight: 0.6}, {path: more.jsonl, weight: 0.4}]",
      "--set", "data.chat_template=mine.jinja",
      "--set", "data.save_splits=true"};
  ASSERT_EQ(train(mixed), 0) << err_;
  const std::string undisturbed = adapter_bytes();
  EXPECT_EQ(*read_file(run_.adapter() / "chat_template.jinja"), *read_file(folder_ / "mine.jinja"));
  const std::string card = *read_file(run_.adapter() / "README.md");
  EXPECT_NE(card.find("| `more.jsonl` | 0.4 | 16 | 40 |"), std::string::npos) << card;
  const std::string trained = *read_file(run_.data() / "train.jsonl");
  EXPECT_EQ(std::count(trained.begin(), trained.end(), '\n'), 23 + 16);
  EXPECT_EQ(*read_file(run_.data() / "validation.jsonl"), tiny_conversations(5));
  fs::remove_all(run_.root);
  {
    TrainProcess process(folder_, arguments(mixed));
    ASSERT_TRUE(process.wait_until([&] { return has_step(7); }));
    process.signal(SIGTERM);
    ASSERT_EQ(process.wait(), 0) << process.err();
  }
  ASSERT_EQ(train(mixed), 0) << err_;
  EXPECT_GT(events_of<StartedEvent>().back().resumed_from_step, 0);
  EXPECT_EQ(adapter_bytes(), undisturbed);
}

// Quantised anew at each start, the weights must be the same ones, and no others be gone on with.
TEST_F(SftTest, FourBitWeightsAreTheSameAfterGoingOn) {
  const std::vector<std::string> quantized = {"--quant-bits", "4", "--gradient-checkpointing"};
  ASSERT_EQ(train(quantized), 0) << err_;
  const std::string undisturbed = adapter_bytes();
  EXPECT_NE(read_file(run_.adapter() / "README.md")->find("weights in NF4"), std::string::npos);
  fs::remove_all(run_.root);
  {
    TrainProcess process(folder_, arguments(quantized));
    ASSERT_TRUE(process.wait_until([&] { return has_step(7); }));
    process.signal(SIGKILL);
    process.wait();
  }
  EXPECT_NE(train(), 0);
  EXPECT_NE(err_.find("type of computing"), std::string::npos) << err_;
  EXPECT_NE(train({"--quant-bits", "4", "--set", "quant.double=false"}), 0);
  ASSERT_EQ(train(quantized), 0) << err_;
  EXPECT_GT(events_of<StartedEvent>().back().resumed_from_step, 0);
  EXPECT_EQ(adapter_bytes(), undisturbed);
  // What is made again is the same, so that may change.
  fs::remove_all(run_.root);
  ASSERT_EQ(train({"--quant-bits", "4"}), 0) << err_;
  EXPECT_EQ(adapter_bytes(), undisturbed);
}

TEST_F(SftTest, StopsBeforeTheFirstStepWithNothingToSave) {
  TrainProcess process(folder_, arguments());
  ASSERT_TRUE(process.wait_until([&] { return !events_of<StartedEvent>().empty(); }));
  process.signal(SIGTERM);
  ASSERT_EQ(process.wait(), 0) << process.err();
  EXPECT_TRUE(events_of<FinishedEvent>().at(0).stopped);
  EXPECT_EQ(checkpoint_steps(run_).empty(), events_of<StepEvent>().empty());
}

TEST_F(SftTest, SavesWhenAskedAndGoesOn) {
  TrainProcess process(folder_, arguments({"--epochs", "300", "--set", "train.save_steps=null"}));
  ASSERT_TRUE(process.wait_until([&] { return has_step(14); }));
  const std::size_t before = events_of<CheckpointEvent>().size();
  process.signal(SIGUSR1);
  ASSERT_TRUE(process.wait_until([&] {
    const auto saved = events_of<CheckpointEvent>();
    return std::any_of(saved.begin() + static_cast<std::ptrdiff_t>(before), saved.end(),
                       [](const CheckpointEvent& event) { return !event.whole_epoch; });
  }));
  const std::int64_t step = events_of<StepEvent>().back().step;
  EXPECT_TRUE(process.wait_until([&] { return has_step(step + 2); }));
}

TEST_F(SftTest, ItsThreadsDoNotSpinUnlessTheUserSaysSo) {
  {
    TrainProcess process(folder_, arguments({"--epochs", "300"}));
    ASSERT_TRUE(process.wait_until([&] { return has_step(1); }));
    EXPECT_NE(process.environment().find("GOMP_SPINCOUNT=2000"), std::string::npos);
  }
  TrainProcess process(folder_, arguments({"--epochs", "300"}),
                       [] { ::setenv("OMP_WAIT_POLICY", "ACTIVE", 1); });
  ASSERT_TRUE(process.wait_until([&] { return events_of<StartedEvent>().size() == 2; }));
  EXPECT_EQ(process.environment().find("GOMP_SPINCOUNT"), std::string::npos);
}

TEST_F(SftTest, ASecondSignalEndsItAtOnce) {
  TrainProcess process(folder_, arguments({"--epochs", "300"}));
  ASSERT_TRUE(process.wait_until([&] { return has_step(3); }));
  // Both wait while it stands still, so both are delivered before it computes anything more.
  process.signal(SIGSTOP);
  process.signal(SIGTERM);
  process.signal(SIGINT);
  process.signal(SIGCONT);
  const int code = process.wait();
  EXPECT_TRUE(code == 143 || code == 130) << code;
  EXPECT_TRUE(events_of<FinishedEvent>().empty());
}

TEST_F(SftTest, StartsAnewWhereTheNewestCheckpointIsDamaged) {
  ASSERT_EQ(train(), 0) << err_;
  const std::string undisturbed = adapter_bytes();
  const fs::path newest = run_.checkpoint(36) / "optimizer.safetensors";
  std::string bytes = *read_file(newest);
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
  ASSERT_TRUE(write_file(newest, bytes));
  ASSERT_EQ(train(), 0) << err_;
  EXPECT_EQ(events_of<StartedEvent>().back().resumed_from_step, 35);
  EXPECT_EQ(events_of<WarningEvent>().back().code, "damaged_checkpoint");
  EXPECT_EQ(adapter_bytes(), undisturbed);
}

TEST_F(SftTest, RefusesToGoOnAsAnotherRun) {
  ASSERT_EQ(train(), 0) << err_;
  const std::string before = adapter_bytes();
  EXPECT_EQ(train({"--learning-rate", "1e-3"}), 2);
  EXPECT_NE(err_.find("learning rate differ"), std::string::npos) << err_;
  ASSERT_TRUE(write_file(folder_ / "train.jsonl", tiny_conversations(24)));
  EXPECT_EQ(train(), 2);
  EXPECT_NE(err_.find("data differ"), std::string::npos) << err_;
  EXPECT_EQ(adapter_bytes(), before);
}

// What a full disk looks like to a program, without filling one.
std::function<void()> files_up_to(rlim_t bytes) {
  return [bytes] {
    const rlimit limit{bytes, bytes};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  };
}

TEST_F(SftTest, FindsAFullDiskBeforeTheFirstStep) {
  TrainProcess process(folder_, arguments(), files_up_to(8000));
  EXPECT_EQ(process.wait(), 10);
  EXPECT_NE(process.err().find("hint: free some disk space"), std::string::npos);
  EXPECT_EQ(events_of<FailedEvent>().back().kind, "no_space");
  EXPECT_TRUE(events_of<StepEvent>().empty());
  EXPECT_TRUE(checkpoint_steps(run_).empty());
}

TEST_F(SftTest, AFullDiskLaterLosesNothingAndIsGoneOnFrom) {
  ASSERT_EQ(train(), 0) << err_;
  const std::string undisturbed = adapter_bytes();
  fs::remove_all(run_.root);
  {
    TrainProcess process(folder_, arguments());
    ASSERT_TRUE(process.wait_until([&] { return !checkpoint_steps(run_).empty(); }));
    process.signal(SIGKILL);
    process.wait();
  }
  const std::int64_t saved = checkpoint_steps(run_).back();
  {
    TrainProcess process(folder_, arguments(), files_up_to(8000));
    EXPECT_EQ(process.wait(), 10) << process.err();
  }
  EXPECT_TRUE(read_checkpoint(run_.checkpoint(saved)));
  ASSERT_EQ(train(), 0) << err_;
  EXPECT_EQ(adapter_bytes(), undisturbed);
}

TEST_F(SftTest, TooLittleMemoryIsAnErrorOfItsOwn) {
  // 200 rows at once make one tensor of 4 GB in the wide middle, where 3 GB are all there is.
  write_tiny_model(folder_ / "wide", {.ff_width = 40000});
  ASSERT_TRUE(write_file(folder_ / "train.jsonl", tiny_conversations(200)));
  TrainProcess process(folder_,
                       arguments({"--base-model", "wide", "--batch-size", "200", "--set",
                                  "train.gradient_accumulation=1", "--set", "data.val_path=null",
                                  "--set", "train.warmup_steps=0"}),
                       [] {
                         const rlimit limit{rlim_t{3} << 30, rlim_t{3} << 30};
                         ::setrlimit(RLIMIT_AS, &limit);
                       });
  EXPECT_EQ(process.wait(), 12) << process.err();
  EXPECT_NE(process.err().find("out of memory"), std::string::npos) << process.err();
  EXPECT_NE(process.err().find("hint: lower train.per_device_batch_size"), std::string::npos);
  EXPECT_EQ(events_of<FailedEvent>().back().kind, "out_of_memory");
}

TEST_F(SftTest, ALossThatIsNoNumberEndsItAndKeepsWhatWasGood) {
  EXPECT_EQ(train({"--learning-rate", "10", "--set", "train.max_grad_norm=0", "--set",
                   "train.weight_decay=10", "--epochs", "40", "--lr-scheduler", "constant", "--set",
                   "train.warmup_steps=null"}),
            11)
      << err_;
  EXPECT_EQ(events_of<FailedEvent>().back().kind, "diverged");
  for (const std::int64_t step : checkpoint_steps(run_)) {
    const Result<Checkpoint> checkpoint = read_checkpoint(run_.checkpoint(step));
    ASSERT_TRUE(checkpoint);
    for (const StoredTensor& tensor : checkpoint->adapter.tensors()) {
      const auto* const values = reinterpret_cast<const float*>(tensor.bytes.data());
      for (std::size_t i = 0; i < tensor.bytes.size() / sizeof(float); ++i) {
        ASSERT_TRUE(std::isfinite(values[i])) << tensor.name << " of step " << step;
      }
    }
  }
}

TEST_F(SftTest, TrainsAFractionOfAnEpochOrSoManySteps) {
  ASSERT_EQ(train({"--epochs", "0.5"}), 0) << err_;
  EXPECT_EQ(events_of<FinishedEvent>().back().steps, 6);
  ASSERT_EQ(train({"--max-steps", "13", "--run-name", "other"}), 0) << err_;
  EXPECT_TRUE(fs::exists(folder_ / "outputs/other/checkpoints/checkpoint-13"));
}

TEST_F(SftTest, StartsFromAGivenAdapterAndCountsItsOwnRuns) {
  ASSERT_EQ(train({"--epochs", "1"}), 0) << err_;
  const double first = events_of<StepEvent>().front().loss;
  ASSERT_EQ(train({"--set", "lora.init_from=outputs/tiny/adapter", "--set", "run.name=null",
                   "--epochs", "1", "--json"}),
            0)
      << err_;
  const auto answer = parse_json(out_, "stdout");
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->at("run"), "model-train-full-run1");
  std::istringstream lines(*read_file(folder_ / "outputs/model-train-full-run1/events.jsonl"));
  for (std::string line; std::getline(lines, line);) {
    const auto event = parse_event(line);
    if (const auto* step = std::get_if<StepEvent>(&(*event)->body)) {
      EXPECT_LT(step->loss, 0.9 * first);
      break;
    }
  }
}

// As the agent starts it: the plan is there, the model in its folder, and nothing else is said.
TEST_F(SftTest, RunsThePlanOfARunDirectory) {
  RunPlan plan;
  plan.run_id = "0123456789ab";
  plan.run_name = "planned";
  plan.created_at = *parse_utc("2026-11-22T14:00:00.000Z");
  plan.seed = 7;
  plan.config.model.base = "org/tiny";
  plan.config.data.path = {(folder_ / "train.jsonl").string()};
  plan.config.data.cutoff_len = 192;
  plan.config.train.max_steps = 3;
  plan.config.train.threads = 1;
  plan.config.train.bf16 = false;
  plan.config.train.save_total_limit = 1;
  plan.config.train.save_steps = 1;
  plan.hub_repo = "local/planned";
  fs::create_directories(run_.agent());
  fs::rename(folder_ / "model", run_.model());
  ASSERT_TRUE(write_file(run_.plan(), json_text(plan_to_json(plan))));

  TrainProcess process(folder_, {"sft", "--run-dir", run_.root.string()});
  ASSERT_EQ(process.wait(), 0) << process.err();
  EXPECT_EQ(process.out(), "");
  EXPECT_EQ(events_of<StartedEvent>().front().plan_hash, plan_hash(plan));
  const auto config =
      parse_json(*read_file(run_.adapter() / "adapter_config.json"), "adapter_config.json");
  EXPECT_EQ(config->at("base_model_name_or_path"), "org/tiny");
  EXPECT_NE(read_file(run_.adapter() / "README.md")->find("base_model: \"org/tiny\""),
            std::string::npos);
  // There is an agent, and it has not uploaded anything: everything stays.
  EXPECT_EQ(checkpoint_steps(run_), (std::vector<std::int64_t>{1, 2, 3}));
  EXPECT_FALSE(fs::exists(run_.trainer_log()));  // the agent keeps what is printed

  EXPECT_EQ(TrainProcess(folder_, {"sft", "--run-dir", run_.root.string(), "--epochs", "2"}).wait(),
            2);
}

TEST_F(SftTest, GoesOnFromACheckpointOfAnotherFolder) {
  ASSERT_EQ(train(), 0) << err_;
  const std::string undisturbed = adapter_bytes();
  ASSERT_EQ(
      train({"--run-name", "copy", "--resume-from", "outputs/tiny/checkpoints/checkpoint-35"}), 0)
      << err_;
  EXPECT_EQ(*read_file(folder_ / "outputs/copy/adapter/adapter_model.safetensors"), undisturbed);
  EXPECT_EQ(train({"--run-name", "none", "--resume-from", "outputs/tiny/checkpoints/checkpoint-9"}),
            5);
  EXPECT_NE(err_.find("train.resume_from"), std::string::npos) << err_;
}

TEST_F(SftTest, LatestIsTheNewestRunOfTheSameKind) {
  const std::vector<std::string> unnamed = {"--set", "run.name=null", "--max-steps", "4"};
  EXPECT_EQ(train({"--set", "run.name=null", "--resume-from", "latest"}), 5) << err_;
  ASSERT_EQ(train(unnamed), 0) << err_;
  ASSERT_EQ(train(unnamed), 0) << err_;
  std::vector<std::string> latest = unnamed;
  latest.insert(latest.end(), {"--resume-from", "latest"});
  ASSERT_EQ(train(latest), 0) << err_;
  EXPECT_EQ(out_, (folder_ / "outputs/model-train-full-run2/adapter").string() + "\n");
  EXPECT_FALSE(fs::exists(folder_ / "outputs/model-train-full-run3"));
}

}  // namespace
}  // namespace mayfly
