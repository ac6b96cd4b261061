// A llama of two layers with random weights, and conversations for it: a step takes about a
// millisecond, so whole runs can be tested, killed and compared.
#pragma once

#include <cmath>
#include <filesystem>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "core/atomic_file.h"
#include "core/model/safetensors.h"

namespace mayfly {

// Sizes of the model. Small, but with every case: fewer key-value heads than query heads, a width
// that is no power of two.
struct TinySizes {
  std::int64_t width = 24, layers = 2, heads = 3, kv_heads = 1, head_width = 8, ff_width = 40,
               vocabulary = 400;
  // A token whose embedding is not a number; the output matrix is another one then.
  std::optional<std::int64_t> broken_token = {};
};

inline void write_tiny_weights(const std::filesystem::path& folder, const TinySizes& sizes) {
  std::mt19937 random(7);
  std::vector<std::vector<float>> kept;
  std::vector<StoredTensor> tensors;
  kept.reserve(static_cast<std::size_t>(4 + 9 * sizes.layers));
  const auto add = [&](const std::string& name, std::vector<std::int64_t> shape) {
    std::int64_t count = 1;
    for (const std::int64_t size : shape) count *= size;
    // Norms near 1, matrices with outputs about as large as inputs.
    const bool norm = shape.size() == 1;
    const float spread = norm ? 0.1F : 1.0F / std::sqrt(static_cast<float>(shape.back()));
    std::normal_distribution<float> normal(norm ? 1.0F : 0.0F, spread);
    std::vector<float>& values = kept.emplace_back(static_cast<std::size_t>(count));
    for (float& value : values) value = normal(random);
    tensors.push_back({name, TensorType::f32, std::move(shape), std::as_bytes(std::span(values))});
  };
  const std::int64_t D = sizes.width, F = sizes.ff_width, E = sizes.head_width;
  add("model.embed_tokens.weight", {sizes.vocabulary, D});
  if (sizes.broken_token) {
    kept.back()[static_cast<std::size_t>(*sizes.broken_token * D)] = std::nanf("");
    add("lm_head.weight", {sizes.vocabulary, D});
  }
  for (std::int64_t layer = 0; layer < sizes.layers; ++layer) {
    const std::string block = "model.layers." + std::to_string(layer) + ".";
    add(block + "input_layernorm.weight", {D});
    add(block + "self_attn.q_proj.weight", {sizes.heads * E, D});
    add(block + "self_attn.k_proj.weight", {sizes.kv_heads * E, D});
    add(block + "self_attn.v_proj.weight", {sizes.kv_heads * E, D});
    add(block + "self_attn.o_proj.weight", {D, sizes.heads * E});
    add(block + "post_attention_layernorm.weight", {D});
    add(block + "mlp.gate_proj.weight", {F, D});
    add(block + "mlp.up_proj.weight", {F, D});
    add(block + "mlp.down_proj.weight", {D, F});
  }
  add("model.norm.weight", {D});
  ASSERT_TRUE(write_safetensors(folder / "model.safetensors", tensors));
}

// A model folder with everything that train needs.
inline void write_tiny_model(const std::filesystem::path& folder, const TinySizes& sizes = {}) {
  std::filesystem::create_directories(folder);
  const std::filesystem::path data = MAYFLY_SOURCE_DIR "/tests/data/tiny";
  for (const char* name : {"tokenizer.json", "tokenizer_config.json"}) {
    std::filesystem::copy_file(data / name, folder / name);
  }
  const auto number = [](std::int64_t value) { return std::to_string(value); };
  ASSERT_TRUE(write_file(
      folder / "config.json",
      R"({"architectures":["LlamaForCausalLM"],"model_type":"llama","hidden_act":"silu",)"
      R"("attention_bias":false,"mlp_bias":false,"rms_norm_eps":1e-5,"rope_theta":10000.0,)"
      R"("max_position_embeddings":512,"torch_dtype":"float32",)"
      R"("bos_token_id":1,"eos_token_id":2,"hidden_size":)" +
          number(sizes.width) + R"(,"head_dim":)" + number(sizes.head_width) +
          R"(,"intermediate_size":)" + number(sizes.ff_width) + R"(,"num_hidden_layers":)" +
          number(sizes.layers) + R"(,"num_attention_heads":)" + number(sizes.heads) +
          R"(,"num_key_value_heads":)" + number(sizes.kv_heads) + R"(,"vocab_size":)" +
          number(sizes.vocabulary) + R"(,"tie_word_embeddings":)" +
          (sizes.broken_token ? "false" : "true") + "}\n"));
  write_tiny_weights(folder, sizes);
}

// `count` short conversations, each different.
inline std::string tiny_conversations(int count) {
  std::string text;
  for (int i = 0; i < count; ++i) {
    const std::string a = std::to_string(3 * i + 1), b = std::to_string(i + 2);
    text += R"({"messages":[{"role":"user","content":"What is )" + a + " plus " + b +
            R"(?"},{"role":"assistant","content":")" + a + " plus " + b + " is " +
            std::to_string(4 * i + 3) + R"(."}]})" + "\n";
  }
  return text;
}

}  // namespace mayfly
