#include "core/model/family.h"

#include <array>

namespace mayfly {

namespace {

constexpr std::array kFamilies = {
    Family{
        .model_type = "llama", .models = "SmolLM2, Llama 2 and 3", .biases = BiasRule::everywhere},
    Family{.model_type = "qwen2",
           .models = "Qwen2, Qwen2.5",
           .max_positions = 32768,
           .kv_heads = 32,
           .biases = BiasRule::qkv,
           .window = WindowRule::upper_layers,
           .window_width = 4096},
    Family{.model_type = "qwen3",
           .models = "Qwen3, dense",
           .max_positions = 32768,
           .kv_heads = 32,
           .head_width = 128,
           .biases = BiasRule::attention,
           .query_key_norm = QueryKeyNorm::each_head,
           .window = WindowRule::upper_layers,
           .window_width = 4096},
    Family{.model_type = "mistral",
           .models = "Mistral 7B",
           .max_positions = 131072,
           .kv_heads = 8,
           .window = WindowRule::every_layer,
           .window_width = 4096},
    Family{.model_type = "smollm3",
           .models = "SmolLM3",
           .rope_theta = 2000000.0,
           .tied_embeddings = true,
           .max_positions = 32768,
           .kv_heads = 4,
           .biases = BiasRule::everywhere,
           .window = WindowRule::without_rope,
           .has_layers_without_rope = true},
    Family{.model_type = "granite",
           .models = "Granite 3, dense",
           .biases = BiasRule::everywhere,
           .has_multipliers = true},
    Family{.model_type = "phi3",
           .models = "Phi-3, Phi-4-mini",
           .norm_eps = 1e-5,
           .max_positions = 4096,
           .fused_projections = true,
           .window = WindowRule::every_layer,
           .has_partial_rope = true,
           .original_positions = 4096,
           .has_old_rope_names = true},
    Family{.model_type = "olmo2",
           .models = "OLMo 2",
           .norm_eps = 1e-5,
           .biases = BiasRule::attention,
           .query_key_norm = QueryKeyNorm::whole,
           .norm_place = NormPlace::after},
    Family{.model_type = "gemma2",
           .models = "Gemma 2",
           .tied_embeddings = true,
           .max_positions = 8192,
           .kv_heads = 4,
           .head_width = 256,
           .biases = BiasRule::attention,
           .norm_place = NormPlace::around,
           .window = WindowRule::by_pattern,
           .window_width = 4096,
           .window_pattern = 2,
           .scales_embedding = true,
           .query_scalar = 256,
           .one_plus_norms = true,
           .activation = Activation::gelu_tanh,
           .attention_cap = 50.0,
           .logit_cap = 30.0},
    Family{.model_type = "gemma3_text",
           .models = "Gemma 3, text",
           .rope_theta = 1000000.0,
           .tied_embeddings = true,
           .max_positions = 131072,
           .kv_heads = 4,
           .head_width = 256,
           .biases = BiasRule::attention,
           .query_key_norm = QueryKeyNorm::each_head,
           .norm_place = NormPlace::around,
           .window = WindowRule::by_pattern,
           .window_width = 4096,
           .window_pattern = 6,
           .reads_window_pattern = true,
           .local_rope_theta = 10000.0,
           .scales_embedding = true,
           .query_scalar = 256,
           .one_plus_norms = true,
           .activation = Activation::gelu_tanh,
           .logit_cap = 0.0},
    Family{.model_type = "nanochat",
           .models = "nanochat",
           .biases = BiasRule::attention,
           .query_key_norm = QueryKeyNorm::each_head,
           .has_norm_weights = false,
           .norms_embedding = true,
           .norms_after_rope = true,
           .turns_backwards = true,
           .has_gate = false,
           .activation = Activation::relu_squared,
           .logit_cap = 15.0},
};

}  // namespace

std::span<const Family> families() {
  return kFamilies;
}

const Family* family_named(std::string_view model_type) {
  for (const Family& family : kFamilies) {
    if (family.model_type == model_type) return &family;
  }
  return nullptr;
}

std::string family_list() {
  std::string names;
  for (const Family& family : kFamilies) {
    if (!names.empty()) names += ", ";
    names += family.model_type;
  }
  return names;
}

}  // namespace mayfly
