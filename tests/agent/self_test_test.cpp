// Before anything is paid for: what an instance must have. A test that asks too little finds a full
// disk at the first checkpoint, one that asks too much refuses a good machine.
#include "agent/self_test.h"

#include <gmock/gmock.h>

#include "agent/checkpoint_bytes.h"
#include "core/atomic_file.h"
#include "core/run/checkpoint_folder.h"
#include "tests/fakes/temporary_folder.h"

namespace mayfly {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class SelfTestTest : public TemporaryFolder {
 protected:
  SelfTestTest() {
    plan_.config.model.base = (folder_ / "model").string();
    plan_.config.lora.r = 4;
    plan_.config.lora.target_modules = {"q_proj", "down_proj"};
    put("model/config.json", R"({"model_type": "llama", "hidden_size": 64, "num_hidden_layers": 3,
        "num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 100,
        "vocab_size": 256, "max_position_embeddings": 512, "rms_norm_eps": 1e-6,
        "hidden_act": "silu", "tie_word_embeddings": true})");
    put("model/tokenizer.json", std::string(1000, 'x'));
  }
  RunPlan plan_;
  RunDirectory run_{folder_ / "run"};
};

TEST_F(SelfTestTest, ACheckpointsSizeComesFromShapesAndRank) {
  // q: 64 -> 64, down: 100 -> 64; of each rank * (inputs + outputs), in three layers, times three.
  EXPECT_EQ(checkpoint_bytes(plan_, run_), 3 * 4 * (3 * 4 * (64 + 64 + 100 + 64)) + 1000);
  plan_.config.model.base = "owner/name";
  EXPECT_EQ(checkpoint_bytes(plan_, run_), std::nullopt) << "not fetched yet";
  fs::create_directories(run_.root);
  fs::create_directory_symlink(folder_ / "model", run_.model());
  EXPECT_NE(checkpoint_bytes(plan_, run_), std::nullopt);
}

TEST_F(SelfTestTest, OrFromTheNewestCheckpoint) {
  put("run/checkpoints/checkpoint-4/adapter_model.safetensors", std::string(700, 'x'));
  put("run/checkpoints/checkpoint-4/resume.json", std::string(50, 'x'));
  ASSERT_TRUE(write_manifest(run_.checkpoint(4)));
  EXPECT_EQ(checkpoint_bytes(plan_, run_), 750);
}

TEST_F(SelfTestTest, TheDiskMustHaveRoomForThree) {
  const auto free = static_cast<std::int64_t>(fs::space(folder_).available);
  const std::int64_t own = 100 << 20;
  const std::int64_t slack = 64 << 20;  // others write here meanwhile
  EXPECT_FALSE(test_disk(folder_, std::nullopt).error);
  EXPECT_FALSE(test_disk(folder_, (free - own - slack) / 3).error);
  const SelfTest refused = test_disk(folder_, (free - own + slack) / 3);
  ASSERT_TRUE(refused.error);
  EXPECT_EQ(refused.error->kind, ErrorKind::no_space);
  EXPECT_THAT(refused.error->message, HasSubstr("three checkpoints of"));
}

}  // namespace
}  // namespace mayfly
