// A model that is computed slightly wrong trains without an error and is worthless. So whatever
// config.json says that we do not compute must be refused, by name.
#include "core/model/architecture.h"

#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/model/family.h"
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
  EXPECT_EQ(a->ropes.all.theta, 100000.0);
  EXPECT_EQ(a->ropes.all.scaling, RopeScaling::none);
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
  EXPECT_EQ(a->ropes.all.theta, 10000.0);
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
  EXPECT_EQ(old_form->ropes.all.factor, 32.0);
  EXPECT_EQ(old_form->ropes.all.theta, 100000.0);

  json parameters = llama3;
  parameters["rope_theta"] = 500000.0;
  json config = with("rope_parameters", parameters);
  config.erase("rope_theta");
  const auto new_form = architecture_from_json(config, "config.json");
  ASSERT_TRUE(new_form) << new_form.error().message;
  EXPECT_EQ(new_form->ropes.all.factor, 32.0);
  EXPECT_EQ(new_form->ropes.all.theta, 500000.0);
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
  for (const char* kind : {"dynamic", "su"}) {
    const Error error = refusal(with("rope_scaling", {{"type", kind}, {"factor", 2.0}}));
    EXPECT_THAT(error.message, HasSubstr("\"rope_scaling\": {"));
    EXPECT_THAT(error.message, HasSubstr(kind));
  }
  EXPECT_THAT(refusal(with("partial_rotary_factor", 0.75)).message,
              HasSubstr("\"partial_rotary_factor\" is 0.75"));
  EXPECT_THAT(
      refusal(with("rope_scaling", {{"type", "yarn"}, {"factor", 2.0}, {"mscale", 1.0}})).message,
      HasSubstr("\"mscale\": 1.0"));
  const Error lacking =
      refusal(with("rope_scaling", {{"type", "longrope"}, {"long_factor", {1.0}}}));
  EXPECT_THAT(lacking.message, HasSubstr("\"short_factor\" must be a list of 32 positive numbers"));
  for (const char* cap : {"attn_logit_softcapping", "final_logit_softcapping", "clip_qkv"}) {
    EXPECT_THAT(refusal(with(cap, 30.0)).message, HasSubstr("\"" + std::string(cap) + "\": 30.0"));
  }
  EXPECT_THAT(refusal(with("layer_types", json::array({"sliding_attention"}))).message,
              HasSubstr("\"layer_types\""));
  EXPECT_EQ(refusal(with("num_hidden_layers", 1 << 20)).kind, ErrorKind::unsupported);
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

// A small model of a family, with what `more` says.
Architecture small(const char* family, const json& more = json::object()) {
  json config = {
      {"model_type", family},     {"hidden_size", 64},        {"num_hidden_layers", 4},
      {"num_attention_heads", 4}, {"num_key_value_heads", 2}, {"head_dim", 16},
      {"intermediate_size", 160}, {"vocab_size", 96},         {"tie_word_embeddings", false}};
  config.update(more);
  const auto a = architecture_from_json(config, "config.json");
  EXPECT_TRUE(a) << family << ": " << a.error().message;
  return a ? *a : Architecture();
}

// What transformers 5.23 counts: sum(p.numel() for p in model.parameters()).
TEST(FamilyTest, HasTheParametersThatTransformersCounts) {
  EXPECT_EQ(small("llama").parameters(), 184896);
  EXPECT_EQ(small("llama", {{"attention_bias", true}, {"mlp_bias", true}}).parameters(), 187200);
  EXPECT_EQ(small("qwen2").parameters(), 185408);
  EXPECT_EQ(small("qwen3").parameters(), 185024);
  EXPECT_EQ(small("mistral").parameters(), 184896);
  EXPECT_EQ(small("smollm3").parameters(), 184896);
  EXPECT_EQ(small("granite").parameters(), 184896);
  EXPECT_EQ(small("phi3").parameters(), 184896);
  EXPECT_EQ(small("olmo2").parameters(), 185280);
  EXPECT_EQ(small("gemma2").parameters(), 185408);
  EXPECT_EQ(small("gemma3_text").parameters(), 185536);
}

TEST(FamilyTest, IsNamedInTheHintOfARefusal) {
  for (const Family& family : families()) {
    EXPECT_THAT(refusal(with("model_type", "mixtral")).hint,
                HasSubstr(std::string(family.model_type)));
  }
}

TEST(FamilyTest, QwensWindowNeedsItsSwitchAndStartsAtALayer) {
  const json set = {{"sliding_window", 32}, {"max_window_layers", 3}};
  EXPECT_TRUE(small("qwen2", set).layer_choices.empty());
  json on = set;
  on["use_sliding_window"] = true;
  const Architecture a = small("qwen2", on);
  EXPECT_EQ(a.choice(2).window, 0);
  EXPECT_EQ(a.choice(3).window, 32);
  on["layer_types"] = {"sliding_attention", "full_attention", "full_attention", "full_attention"};
  EXPECT_EQ(small("qwen3", on).choice(0).window, 32);
  EXPECT_EQ(small("qwen3", on).choice(3).window, 0);
  on["max_window_layers"] = 0;
  on.erase("layer_types");
  EXPECT_EQ(small("qwen2", on).choice(0).window, 32);
}

TEST(FamilyTest, MistralsWindowIsANumberNullOrItsDefault) {
  EXPECT_EQ(small("mistral", {{"sliding_window", 64}}).choice(1).window, 64);
  EXPECT_EQ(small("mistral", {{"sliding_window", nullptr}}).choice(1).window, 0);
  EXPECT_EQ(small("mistral").choice(1).window, 4096);
  EXPECT_EQ(small("phi3").choice(1).window, 0);
  EXPECT_EQ(small("llama", {{"sliding_window", 64}}).choice(1).window, 0);
}

TEST(FamilyTest, SmolLm3LeavesOutEachFourthRopeOrThoseOfTheList) {
  const Architecture fourth = small("smollm3");
  EXPECT_TRUE(fourth.choice(2).has_rope);
  EXPECT_FALSE(fourth.choice(3).has_rope);
  const Architecture list = small("smollm3", {{"no_rope_layers", {0, 1, 1, 1}}});
  EXPECT_FALSE(list.choice(0).has_rope);
  EXPECT_TRUE(list.choice(3).has_rope);
}

TEST(FamilyTest, GranitesMultipliersAreReadAndOthersAreNot) {
  const json set = {{"embedding_multiplier", 12},
                    {"residual_multiplier", 0.22},
                    {"attention_multiplier", 0.015625},
                    {"logits_scaling", 8}};
  const Architecture a = small("granite", set);
  EXPECT_EQ(a.multipliers.embedding, 12.0);
  EXPECT_EQ(a.multipliers.residual, 0.22);
  EXPECT_EQ(a.multipliers.logits_divisor, 8.0);
  EXPECT_EQ(a.attention_scale, 0.015625);
  EXPECT_FALSE(small("llama", set).attention_scale);
}

TEST(FamilyTest, Gemma2sWindowsTakeTurnsAndItsCapsMayBeNull) {
  const Architecture a = small("gemma2");
  EXPECT_EQ(a.choice(0).window, 4096);
  EXPECT_EQ(a.choice(1).window, 0);
  EXPECT_FALSE(a.choice(0).has_local_rope);
  EXPECT_EQ(a.soft_caps.attention, 50.0);
  EXPECT_EQ(a.soft_caps.logits, 30.0);
  EXPECT_EQ(a.attention_scale, 1.0 / 16);
  EXPECT_EQ(a.multipliers.embedding, 8.0);
  const json none = {{"attn_logit_softcapping", nullptr}, {"final_logit_softcapping", nullptr}};
  EXPECT_EQ(small("gemma2", none).soft_caps.attention, 0.0);
  EXPECT_EQ(small("gemma2", none).soft_caps.logits, 0.0);
}

TEST(FamilyTest, Gemma3HasARopeForEachKindOfLayer) {
  const json old_form = {{"sliding_window_pattern", 2},
                         {"sliding_window", 32},
                         {"rope_theta", 500.0},
                         {"rope_local_base_freq", 50.0},
                         {"rope_scaling", {{"rope_type", "linear"}, {"factor", 8.0}}}};
  const Architecture a = small("gemma3_text", old_form);
  EXPECT_TRUE(a.choice(0).has_local_rope);
  EXPECT_EQ(a.choice(0).window, 32);
  EXPECT_FALSE(a.choice(1).has_local_rope);
  EXPECT_EQ(a.ropes.all.theta, 500.0);
  EXPECT_EQ(a.ropes.all.factor, 8.0);
  EXPECT_EQ(a.ropes.local.theta, 50.0);
  EXPECT_EQ(a.ropes.local.scaling, RopeScaling::none);
  EXPECT_EQ(small("gemma3_text").ropes.all.theta, 1e6);
  EXPECT_EQ(small("gemma3_text").choice(2).window, 4096);
}

TEST(FamilyTest, GemmasOtherChoicesAreRefused) {
  json gemma = with("model_type", "gemma3_text");
  EXPECT_TRUE(architecture_from_json(gemma, "config.json"));
  for (const auto& [key, value] : std::vector<std::pair<std::string, json>>{
           {"attn_logit_softcapping", 50.0},
           {"hidden_activation", "gelu"},
           {"use_bidirectional_attention", true},
           {"sliding_window", nullptr},
           {"rope_parameters", {{"rope_type", "default"}}},
           {"rope_parameters", {{"full_attention", {{"rope_type", "dynamic"}}}}}}) {
    json config = gemma;
    config[key] = value;
    EXPECT_THAT(refusal(config).message, HasSubstr(key)) << value;
  }
  EXPECT_THAT(refusal(with("model_type", "gemma3")).message, HasSubstr("\"gemma3\""));
  EXPECT_THAT(
      refusal(with("rope_parameters", {{"full_attention", {{"rope_type", "default"}}}})).message,
      HasSubstr("one rope"));
}

TEST(FamilyTest, NullKeyValueHeadsAreAsManyAsHeads) {
  EXPECT_EQ(small("mistral", {{"num_key_value_heads", nullptr}}).kv_heads, 4);
}

TEST(WeightNamesTest, FusedProjectionsAreTargetsByTheirOwnNames) {
  const Architecture a = small("phi3");
  EXPECT_EQ(projections_named({"all-linear"}, a)->size(), 4u);
  EXPECT_EQ(projections_named({"gate_up_proj", "qkv_proj"}, a)->front(), Projection::qkv);
  EXPECT_THAT(projections_named({"q_proj"}, a).error().hint, HasSubstr("qkv_proj"));
  EXPECT_FALSE(projections_named({"qkv_proj"}, small("llama")));
  EXPECT_EQ(projection_outputs(a, Projection::qkv), 128);
  EXPECT_EQ(projection_outputs(a, Projection::gate_up), 320);
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
  EXPECT_EQ(projections_named({"all-linear"}, Architecture())->size(), 7u);
  EXPECT_EQ(*projections_named({"v_proj", "q_proj", "v_proj"}, Architecture()),
            (std::vector{Projection::q, Projection::v}));
  EXPECT_EQ(projections_named({"q_prj"}, Architecture()).error().kind, ErrorKind::invalid_config);
  EXPECT_THAT(projections_named({"q_prj"}, Architecture()).error().hint, HasSubstr("q_proj"));
  EXPECT_FALSE(projections_named({"all-linear", "q_proj"}, Architecture()));
  EXPECT_FALSE(projections_named({}, Architecture()));
}

}  // namespace
}  // namespace mayfly
