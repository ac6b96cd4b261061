// A checkpoint that is read as a model it is not trains without an error and is worthless. What
// PyTorch and nanochat really write is held against them in tests/oracle_nanochat; here are the
// names, the shapes and the refusals.
#include "core/model/nanochat_checkpoint.h"

#include <map>
#include <ranges>
#include <tuple>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/model/architecture.h"
#include "tests/fakes/temporary_folder.h"

namespace mayfly {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;

json meta_with(const char* key, const json& value) {
  json config = {{"sequence_len", 32}, {"vocab_size", 100}, {"n_layer", 1},
                 {"n_head", 2},        {"n_kv_head", 1},    {"n_embd", 8}};
  if (*key != '\0') config[key] = value;
  return {{"step", 3}, {"model_config", config}};
}

NanochatShape tiny_shape() {
  return *nanochat_shape(meta_with("", {}), "meta.json");
}

Error shape_refusal(const char* key, const json& value) {
  const auto shape = nanochat_shape(meta_with(key, value), "meta.json");
  return shape ? Error{ErrorKind::internal, "it was accepted"} : shape.error();
}

// The tensors of tiny_shape(), `more` on top of them or in place of them.
class NanochatTensorsTest : public testing::Test {
 protected:
  NanochatTensorsTest() : bytes_(200 * 8 * 4) {
    for (const auto& [name, rows, columns] : {std::tuple{"transformer.wte.weight", 100, 8},
                                              {"lm_head.weight", 100, 8},
                                              {"transformer.h.0.attn.c_q.weight", 8, 8},
                                              {"transformer.h.0.attn.c_k.weight", 4, 8},
                                              {"transformer.h.0.attn.c_v.weight", 4, 8},
                                              {"transformer.h.0.attn.c_proj.weight", 8, 8},
                                              {"transformer.h.0.mlp.c_fc.weight", 32, 8},
                                              {"transformer.h.0.mlp.c_proj.weight", 8, 32}}) {
      set(name, {rows, columns});
    }
  }
  void set(const std::string& name, std::vector<std::int64_t> shape) {
    std::size_t size = 4;
    for (const std::int64_t each : shape) size *= static_cast<std::size_t>(each);
    stored_[name] = {name, TensorType::f32, std::move(shape), std::span(bytes_).first(size)};
  }
  Result<std::vector<StoredTensor>> read(const std::string& prefix = "") const {
    std::vector<StoredTensor> tensors;
    for (StoredTensor tensor : stored_ | std::views::values) {
      tensor.name = prefix + tensor.name;
      tensors.push_back(std::move(tensor));
    }
    return nanochat_tensors(tensors, tiny_shape(), "model.pt");
  }
  Error refusal() const {
    const auto tensors = read();
    return tensors ? Error{ErrorKind::internal, "it was accepted"} : tensors.error();
  }

  std::vector<std::byte> bytes_;  // zeros
  std::map<std::string, StoredTensor> stored_;
};

TEST_F(NanochatTensorsTest, GoOnUnderTransformersNames) {
  for (const char* const prefix : {"", "_orig_mod."}) {
    const auto tensors = read(prefix);
    ASSERT_TRUE(tensors) << tensors.error().message;
    std::vector<std::string> names;
    for (const StoredTensor& tensor : *tensors) names.push_back(tensor.name);
    EXPECT_THAT(
        names,
        ElementsAre("model.embed_tokens.weight", "model.layers.0.self_attn.q_proj.weight",
                    "model.layers.0.self_attn.k_proj.weight",
                    "model.layers.0.self_attn.v_proj.weight",
                    "model.layers.0.self_attn.o_proj.weight", "model.layers.0.mlp.fc1.weight",
                    "model.layers.0.mlp.fc2.weight", "lm_head.weight"));
  }
}

TEST_F(NanochatTensorsTest, LeaveOutTheRowsThatPadTheVocabulary) {
  set("lm_head.weight", {128, 8});
  const auto tensors = read();
  ASSERT_TRUE(tensors) << tensors.error().message;
  EXPECT_THAT(tensors->back().shape, ElementsAre(100, 8));
  EXPECT_EQ(tensors->back().bytes.size(), 100U * 8 * 4);
  set("lm_head.weight", {192, 8});
  EXPECT_THAT(refusal().message, HasSubstr("\"lm_head.weight\" has shape (192, 8)"));
  set("lm_head.weight", {100, 8});
  set("transformer.h.0.attn.c_k.weight", {64, 8});
  EXPECT_EQ(refusal().kind, ErrorKind::corrupt);
}

TEST_F(NanochatTensorsTest, MissingOrUnknownOnesAreNamed) {
  set("transformer.h.1.attn.c_q.weight", {8, 8});
  EXPECT_EQ(refusal().kind, ErrorKind::unsupported);
  EXPECT_THAT(refusal().message, HasSubstr("\"transformer.h.1.attn.c_q.weight\" is there"));
  stored_.erase("transformer.h.0.mlp.c_fc.weight");
  EXPECT_EQ(refusal().kind, ErrorKind::corrupt);
  EXPECT_THAT(refusal().message, HasSubstr("\"transformer.h.0.mlp.c_fc.weight\" is missing"));
}

TEST_F(NanochatTensorsTest, ScalesAreTakenOnlyWhereTheyDoNothing) {
  set("x0_lambdas", {1});
  EXPECT_TRUE(read());
  set("resid_lambdas", {1});  // 0, which takes the residual away
  EXPECT_THAT(refusal().message, HasSubstr("\"resid_lambdas\" is not 1 everywhere"));
  const float one = 1.0F;
  stored_["resid_lambdas"].bytes = std::as_bytes(std::span(&one, 1));
  EXPECT_TRUE(read());
  stored_["x0_lambdas"].bytes = std::as_bytes(std::span(&one, 1));
  EXPECT_THAT(refusal().message, HasSubstr("\"x0_lambdas\" is not 0 everywhere"));
}

TEST(NanochatShapeTest, NamesWhatIsWrong) {
  EXPECT_EQ(shape_refusal("n_layer", 0).kind, ErrorKind::corrupt);
  EXPECT_EQ(shape_refusal("n_layer", 10'001).kind, ErrorKind::corrupt);
  EXPECT_EQ(shape_refusal("n_embd", std::int64_t{1} << 40).kind, ErrorKind::corrupt);
  EXPECT_THAT(shape_refusal("n_embd", "8").message, HasSubstr("meta.json: model_config: n_embd"));
  EXPECT_THAT(shape_refusal("n_head", 8).message, HasSubstr("does not divide n_embd 8"));
  EXPECT_THAT(shape_refusal("n_kv_head", 3).message, HasSubstr("n_kv_head 3 does not divide"));
  EXPECT_EQ(shape_refusal("use_moe", true).kind, ErrorKind::unsupported);
  EXPECT_THAT(shape_refusal("use_moe", true).message, HasSubstr("use_moe true"));
}

TEST(NanochatShapeTest, WindowsAreRefusedAndPatternsWithoutThemAreNot) {
  json meta = meta_with("n_layer", 4);
  for (const auto& [pattern, right] :
       {std::pair{"L", true}, {"LLLS", true}, {"SSSL", false}, {"LS", false}, {"", false}}) {
    meta["model_config"]["window_pattern"] = pattern;  // the last layer sees everything
    EXPECT_EQ(static_cast<bool>(nanochat_shape(meta, "meta.json")), right) << pattern;
  }
}

TEST(NanochatConfigTest, IsAModelThatWeRead) {
  const json config =
      nanochat_config_json(tiny_shape(), {.bos = 91, .assistant_end = 95}, "float32");
  const auto architecture = architecture_from_json(config, "config.json");
  ASSERT_TRUE(architecture) << architecture.error().message;
  EXPECT_EQ(architecture->vocabulary, 100);
  EXPECT_EQ(architecture->kv_heads, 1);
  EXPECT_EQ(architecture->ff_width, 32);
  EXPECT_EQ(architecture->soft_caps.logits, 15.0);
  EXPECT_THAT(architecture->end_tokens, ElementsAre(95, 91));
}

class NanochatFolderTest : public TemporaryFolder {};

TEST_F(NanochatFolderTest, IsNamedWithTheVerbThatReadsIt) {
  for (const char* const name : {"model_000010.pt", "model_000650.pt", "model_1000000.pt",
                                 "model_000200_backup.pt", "model_5.pt", "model_.pt"}) {
    put(name, "");
  }
  EXPECT_THAT(nanochat_steps(folder_), ElementsAre(10, 650, 1'000'000));
  const auto refused = read_architecture(folder_);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::unsupported);
  EXPECT_THAT(refused.error().hint, HasSubstr("train import --nanochat " + folder_.string()));
  const auto opened = open_nanochat_checkpoint(folder_, 11);
  ASSERT_FALSE(opened);
  EXPECT_THAT(opened.error().hint, HasSubstr("10, 650, 1000000"));
}

}  // namespace
}  // namespace mayfly
