// A model that is computed slightly wrong trains without an error and is worthless. So whatever
// config.json says that we do not compute must be refused, by name.
#include "core/model/architecture.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/model/weight_names.h"

namespace mayfly {
namespace {

using nlohmann::json;
using testing::HasSubstr;

// SmolLM2-135M's.
json smollm2() {
  return json::parse(R"({"model_type": "llama", "hidden_size": 576, "num_hidden_layers": 30,
    "num_attention_heads": 9, "num_key_value_heads": 3, "head_dim": 64, "intermediate_size": 1536,
    "vocab_size": 49152, "rms_norm_eps": 1e-05, "rope_theta": 100000.0, "rope_scaling": null,
    "tie_word_embeddings": true, "hidden_act": "silu", "attention_bias": false, "eos_token_id": 2})");
}

json with(const char* key, const json& value) {
  json config = smollm2();
  config[key] = value;
  return config;
}

Error refusal(const json& config) {
  const auto result = architecture_from_json(config, "config.json");
  return result ? Error{ErrorKind::internal, "it was accepted"} : result.error();
}

TEST(ArchitectureTest, ReadsSmolLm2) {
  const auto a = architecture_from_json(smollm2(), "config.json");
  ASSERT_TRUE(a) << a.error().message;
  EXPECT_EQ(a->query_width(), 576);
  EXPECT_EQ(a->kv_width(), 192);
  EXPECT_EQ(a->rope_theta, 100000.0);
  EXPECT_EQ(a->rope_scaling.factor, 1.0);
  EXPECT_TRUE(a->tied_embeddings);
  EXPECT_EQ(a->end_tokens, std::vector<std::int64_t>{2});
  EXPECT_EQ(a->parameters(), 134515008);  // what transformers counts
}

TEST(ArchitectureTest, TakesTheFamilysDefaultsForWhatIsLeftOut) {
  json config = smollm2();
  for (const char* key : {"num_key_value_heads", "head_dim", "rms_norm_eps", "rope_theta",
                          "tie_word_embeddings", "eos_token_id", "hidden_act"}) {
    config.erase(key);
  }
  const auto a = architecture_from_json(config, "config.json");
  ASSERT_TRUE(a) << a.error().message;
  EXPECT_EQ(a->kv_heads, 9);
  EXPECT_EQ(a->head_width, 64);
  EXPECT_EQ(a->norm_eps, 1e-6);
  EXPECT_EQ(a->rope_theta, 10000.0);
  EXPECT_FALSE(a->tied_embeddings);
  EXPECT_TRUE(a->end_tokens.empty());
}

TEST(ArchitectureTest, ReadsRopeInTheOldAndTheNewForm) {
  const json llama3 = {{"rope_type", "llama3"},
                       {"factor", 32.0},
                       {"low_freq_factor", 1.0},
                       {"high_freq_factor", 4.0},
                       {"original_max_position_embeddings", 8192}};
  const auto old_form = architecture_from_json(with("rope_scaling", llama3), "config.json");
  ASSERT_TRUE(old_form) << old_form.error().message;
  EXPECT_EQ(old_form->rope_scaling.factor, 32.0);
  EXPECT_EQ(old_form->rope_theta, 100000.0);

  json parameters = llama3;
  parameters["rope_theta"] = 500000.0;
  json config = with("rope_parameters", parameters);
  config.erase("rope_theta");
  const auto new_form = architecture_from_json(config, "config.json");
  ASSERT_TRUE(new_form) << new_form.error().message;
  EXPECT_EQ(new_form->rope_scaling.factor, 32.0);
  EXPECT_EQ(new_form->rope_theta, 500000.0);
}

TEST(ArchitectureTest, KnowsCheckpointsInNf4) {
  const json nf4 = {{"quant_method", "bitsandbytes"},
                    {"load_in_4bit", true},
                    {"bnb_4bit_quant_type", "nf4"},
                    {"bnb_4bit_quant_storage", "uint8"}};
  const auto a = architecture_from_json(with("quantization_config", nf4), "config.json");
  ASSERT_TRUE(a) << a.error().message;
  EXPECT_TRUE(a->has_nf4_weights);
  EXPECT_FALSE(architecture_from_json(smollm2(), "config.json")->has_nf4_weights);
}

TEST(ArchitectureTest, RefusesByNameWhatItDoesNotCompute) {
  EXPECT_THAT(refusal(with("model_type", "mixtral")).message, HasSubstr("\"mixtral\""));
  EXPECT_THAT(refusal(with("model_type", "mixtral")).hint, HasSubstr("llama"));
  EXPECT_THAT(refusal(with("rope_scaling", {{"type", "yarn"}, {"factor", 2.0}})).message,
              HasSubstr("\"yarn\""));
  EXPECT_THAT(
      refusal(with("rope_scaling", {{"rope_type", "default"}, {"partial_rotary_factor", 0.5}}))
          .message,
      HasSubstr("partial_rotary_factor"));
  EXPECT_THAT(refusal(with("quantization_config", json::object())).message, HasSubstr("quantised"));
  EXPECT_THAT(refusal(with("quantization_config", {{"quant_method", "gptq"}})).message,
              HasSubstr("gptq"));
  EXPECT_THAT(
      refusal(with("quantization_config", {{"load_in_4bit", true}, {"bnb_4bit_quant_type", "fp4"}}))
          .message,
      HasSubstr("nf4"));
  EXPECT_THAT(refusal(with("hidden_act", "gelu")).message, HasSubstr("\"gelu\""));
  EXPECT_THAT(refusal(with("attention_bias", true)).message, HasSubstr("attention_bias"));
  EXPECT_THAT(refusal(with("mlp_bias", true)).message, HasSubstr("mlp_bias"));
  for (const json& config : {with("model_type", "x"), with("hidden_act", "gelu")}) {
    EXPECT_EQ(refusal(config).kind, ErrorKind::unsupported);
  }
}

TEST(ArchitectureTest, RefusesSenselessNumbers) {
  for (const json& value : {json(0), json(-1), json(1.5), json("9"), json(nullptr), json(1e18)}) {
    const Error error = refusal(with("num_hidden_layers", value));
    EXPECT_EQ(error.kind, ErrorKind::corrupt) << value;
    EXPECT_THAT(error.message, HasSubstr("num_hidden_layers")) << value;
  }
  EXPECT_THAT(refusal(with("num_key_value_heads", 4)).message, HasSubstr("no multiple"));
  EXPECT_THAT(refusal(with("head_dim", 63)).message, HasSubstr("odd"));
  EXPECT_THAT(refusal(with("rms_norm_eps", 0)).message, HasSubstr("rms_norm_eps"));
  EXPECT_THAT(refusal(with("eos_token_id", {2, 49152})).message, HasSubstr("49152"));
  EXPECT_THAT(refusal(json::array()).message, HasSubstr("object"));
}

TEST(WeightNamesTest, AreThoseOfTransformersAndPeft) {
  EXPECT_EQ(projection_weight_name(3, Projection::q), "model.layers.3.self_attn.q_proj.weight");
  EXPECT_EQ(projection_weight_name(0, Projection::down), "model.layers.0.mlp.down_proj.weight");
  EXPECT_EQ(adapter_tensor_name(2, Projection::gate, 'A'),
            "base_model.model.model.layers.2.mlp.gate_proj.lora_A.weight");
}

TEST(WeightNamesTest, ShapesFollowTheArchitecture) {
  const auto a = architecture_from_json(smollm2(), "config.json");
  ASSERT_TRUE(a);
  EXPECT_EQ(projection_outputs(*a, Projection::k), 192);
  EXPECT_EQ(projection_inputs(*a, Projection::down), 1536);
  EXPECT_EQ(projection_outputs(*a, Projection::down), 576);
}

TEST(WeightNamesTest, TargetsAreNamesOrAllLinear) {
  EXPECT_EQ(projections_named({"all-linear"})->size(), 7u);
  EXPECT_EQ(*projections_named({"v_proj", "q_proj", "v_proj"}),
            (std::vector{Projection::q, Projection::v}));
  EXPECT_EQ(projections_named({"q_prj"}).error().kind, ErrorKind::invalid_config);
  EXPECT_THAT(projections_named({"q_prj"}).error().hint, HasSubstr("q_proj"));
  EXPECT_FALSE(projections_named({"all-linear", "q_proj"}));
  EXPECT_FALSE(projections_named({}));
}

}  // namespace
}  // namespace mayfly
