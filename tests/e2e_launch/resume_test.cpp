// A run whose machine is gone goes on from its hub. What must not happen: that it begins anew and
// says that it went on, that it goes on from something that is not whole, or that two machines work
// on one run.
#include <gmock/gmock.h>

#include "tests/e2e_launch/launch_fixture.h"

namespace mayfly {
namespace {

using namespace std::chrono_literals;
using testing::Contains;
using testing::HasSubstr;

class ResumeTest : public LaunchTest {
 protected:
  static constexpr const char* kWhole = "--set hub.optimizer_state=all ";
  static constexpr const char* kSlow =
      "--set generate.vars.steps_per_epoch=60 --set generate.vars.step_ms=100 ";

  // Two epochs, of which the first is on the hub when its machine is lost.
  void lose_after_first_epoch(const std::string& more) {
    const Answer started = run("launch", "run.yaml " + std::string(kSlow) + more);
    ASSERT_EQ(started.code, 0) << started.out << started.err;
    ASSERT_TRUE(wait_for(
        [&] {
          const nlohmann::json status = status_of("one");
          for (const auto& upload : status["uploads"]) {
            if (upload["label"] == "checkpoint-epoch-1" && upload["state"] == "safe") return true;
          }
          return false;
        },
        60s));
    ASSERT_EQ(run("launch", "down one --yes").code, 0);
  }
};

TEST_F(ResumeTest, GoesOnFromTheNewestCheckpointAndEndsWithTheSameNumbers) {
  lose_after_first_epoch(kWhole);
  const Answer plan = run("launch", "resume one --dry-run");
  ASSERT_EQ(plan.code, 0) << plan.out << plan.err;
  EXPECT_THAT(plan.out, HasSubstr("goes on with one from step 60 (local/one@checkpoint-epoch-1)"));

  const Answer resumed = run("launch", "resume one --wait");
  ASSERT_EQ(resumed.code, 0) << resumed.out << resumed.err;
  const auto events = read_file(root / "outputs/one-resumed/events.jsonl");
  ASSERT_TRUE(events);
  EXPECT_THAT(*events, HasSubstr("\"resumed_from_step\":60"));
  EXPECT_THAT(branches("local/one"), Contains("checkpoint-epoch-2"));
  EXPECT_THAT(branches("local/one"), Contains("main"));

  // As if it had never been lost.
  ASSERT_EQ(run("launch", "run.yaml --wait --run-name whole " + std::string(kSlow)).code, 0);
  const auto name = "adapter/adapter_model.safetensors";
  EXPECT_EQ(*read_file(root / "outputs/one-resumed" / name),
            *read_file(root / "outputs/whole" / name));
}

TEST_F(ResumeTest, RefusesWhatLacksTheOptimizerAndWhatStillRuns) {
  lose_after_first_epoch("");
  const Answer lacking = run("launch", "resume one --wait");
  EXPECT_EQ(lacking.code, 5) << lacking.out << lacking.err;
  EXPECT_THAT(lacking.err, HasSubstr("hub.optimizer_state: all"));
  EXPECT_EQ(run("launch", "resume one --from main").code, 5);
  EXPECT_EQ(run("launch", "resume nothing").code, 5);

  ASSERT_EQ(run("launch", "run.yaml --run-name two " + std::string(kSlow) + kWhole).code, 0);
  const Answer alive = run("launch", "resume two");
  EXPECT_EQ(alive.code, 8) << alive.out << alive.err;
}

}  // namespace
}  // namespace mayfly
