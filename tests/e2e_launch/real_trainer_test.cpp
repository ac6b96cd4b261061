// The main job itself: a real model trained by the real trainer under the real agent, published,
// and gone. Only where the trainer is built (presets cpu, cuda, release).
#include "tests/e2e_launch/launch_fixture.h"

namespace mayfly {
namespace {

TEST_F(LaunchTest, TrainsARealModelAndPublishesIt) {
#ifdef MAYFLY_REAL_PROGRAMS
  programs = MAYFLY_REAL_PROGRAMS;
  std::ofstream(root / "run.yaml") << "model: {base: model}\n"
                                      "data: {path: data.jsonl, test_size: 0.25}\n"
                                      "train: {epochs: 2, per_device_batch_size: 4, threads: 1}\n"
                                      "run: {name: one}\n";
  const Answer answer = run("launch", "run.yaml --wait --price 36");
  ASSERT_EQ(answer.code, 0) << answer.out << answer.err;
  EXPECT_EQ(branches("local/one"),
            (std::vector<std::string>{"checkpoint-epoch-1", "checkpoint-epoch-2", "main"}));
  const nlohmann::json status = status_of("one");
  EXPECT_EQ(status["step"], 6);
  EXPECT_GT(status["held_out_loss_before"].get<double>(), 0.0);
  EXPECT_LT(status["held_out_loss"].get<double>(), status["held_out_loss_before"].get<double>());
  EXPECT_EQ(run("launch", "pull one --to pulled").code, 0);
  for (const char* file : {"adapter_model.safetensors", "adapter_config.json", "README.md"}) {
    EXPECT_TRUE(std::filesystem::exists(root / "pulled" / file)) << file;
  }
  // The next plan knows how fast this machine is.
  const Answer plan = run("launch", "plan run.yaml --run-name two");
  EXPECT_NE(plan.out.find("speed measured in run one"), std::string::npos) << plan.out;
#else
  GTEST_SKIP() << "the trainer is not built here: configure with -DMAYFLY_TRAINER=cpu";
#endif
}

// From what the hub has of the middle of a run, on a machine that knows nothing else of it, to the
// bytes that the run itself ended with.
TEST_F(LaunchTest, GoesOnFromTheHubToTheSameAdapter) {
#ifdef MAYFLY_REAL_PROGRAMS
  programs = MAYFLY_REAL_PROGRAMS;
  std::ofstream(root / "run.yaml") << "model: {base: model}\n"
                                      "data: {path: data.jsonl}\n"
                                      "lora: {dropout: 0.1}\n"
                                      "train: {epochs: 2, per_device_batch_size: 4, threads: 1}\n"
                                      "hub: {optimizer_state: all}\n"
                                      "run: {name: one}\n";
  const Answer answer = run("launch", "run.yaml --wait");
  ASSERT_EQ(answer.code, 0) << answer.out << answer.err;
  const Answer resumed = run("launch", "resume one --from checkpoint-epoch-1 --wait");
  ASSERT_EQ(resumed.code, 0) << resumed.out << resumed.err;
  const auto events = read_file(root / "outputs/one-resumed/events.jsonl");
  ASSERT_TRUE(events);
  EXPECT_NE(events->find("\"resumed_from_step\":4"), std::string::npos) << *events;
  const auto name = "adapter/adapter_model.safetensors";
  EXPECT_EQ(*read_file(root / "outputs/one-resumed" / name),
            *read_file(root / "outputs/one" / name));
#else
  GTEST_SKIP() << "the trainer is not built here: configure with -DMAYFLY_TRAINER=cpu";
#endif
}

// QLoRA all the way: the key, the plan's JSON, the trainer on the machine, the published card.
TEST_F(LaunchTest, TrainsBesideWeightsInFourBits) {
#ifdef MAYFLY_REAL_PROGRAMS
  programs = MAYFLY_REAL_PROGRAMS;
  std::ofstream(root / "run.yaml")
      << "model: {base: model}\n"
         "data: {path: data.jsonl, test_size: 0.25}\n"
         "quant: {bits: 4}\n"
         "train: {max_steps: 3, per_device_batch_size: 4, threads: 1,\n"
         "        gradient_checkpointing: selective}\n"
         "run: {name: four}\n";
  const Answer answer = run("launch", "--phase sft -c run.yaml --wait --price 36");
  ASSERT_EQ(answer.code, 0) << answer.out << answer.err;
  EXPECT_EQ(status_of("four")["step"], 3);
  EXPECT_EQ(run("launch", "pull four --to pulled").code, 0);
  std::ifstream card(root / "pulled/README.md");
  const std::string text((std::istreambuf_iterator<char>(card)), {});
  EXPECT_NE(text.find("weights in NF4"), std::string::npos) << text;
#else
  GTEST_SKIP() << "the trainer is not built here: configure with -DMAYFLY_TRAINER=cpu";
#endif
}

}  // namespace
}  // namespace mayfly
