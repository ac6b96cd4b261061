#include "tests/fakes/tiny_model.h"

#include <fstream>
#include <random>
#include <span>

#include <nlohmann/json.hpp>

#include "core/json.h"
#include "core/model/architecture.h"
#include "core/model/safetensors.h"
#include "core/model/weight_names.h"

namespace mayfly {

namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr int kWidth = 32, kLayers = 2, kHeads = 2, kFeedForward = 64, kVocabulary = 260;

// The printable character that stands for a byte in a byte-level vocabulary (GPT-2's table).
std::string letter_of(int byte) {
  const auto printable = [](int b) {
    return (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || (b >= 174 && b <= 255);
  };
  int code = byte;
  if (!printable(byte)) {
    code = 256;
    for (int b = 0; b < byte; ++b) code += printable(b) ? 0 : 1;
  }
  if (code < 128) return std::string(1, static_cast<char>(code));
  return {static_cast<char>(0xC0 | (code >> 6)), static_cast<char>(0x80 | (code & 0x3F))};
}

json tokenizer() {
  json vocabulary;
  for (int byte = 0; byte < 256; ++byte) vocabulary[letter_of(byte)] = byte;
  json added = json::array();
  for (const auto& [id, text] : {std::pair{256, "<|im_start|>"}, std::pair{257, "<|im_end|>"}}) {
    added.push_back({{"id", id},
                     {"content", text},
                     {"single_word", false},
                     {"lstrip", false},
                     {"rstrip", false},
                     {"normalized", false},
                     {"special", true}});
  }
  const json byte_level = {{"type", "ByteLevel"},
                           {"add_prefix_space", false},
                           {"trim_offsets", true},
                           {"use_regex", true}};
  return {{"version", "1.0"},
          {"truncation", nullptr},
          {"padding", nullptr},
          {"added_tokens", added},
          {"normalizer", nullptr},
          {"pre_tokenizer", byte_level},
          {"post_processor", nullptr},
          {"decoder", byte_level},
          {"model",
           {{"type", "BPE"},
            {"dropout", nullptr},
            {"unk_token", nullptr},
            {"continuing_subword_prefix", nullptr},
            {"end_of_word_suffix", nullptr},
            {"fuse_unk", false},
            {"byte_fallback", false},
            {"ignore_merges", false},
            {"vocab", vocabulary},
            {"merges", json::array()}}}};
}

void write_json(const fs::path& file, const json& content) {
  std::ofstream(file) << json_text(content);
}

class Weights {
 public:
  void add(std::string name, std::vector<std::int64_t> shape) {
    std::size_t count = 1;
    for (const std::int64_t side : shape) count *= static_cast<std::size_t>(side);
    auto& values = values_.emplace_back(count);
    std::normal_distribution<float> normal(0.0F, 0.02F);
    const bool is_norm = shape.size() == 1;
    for (float& value : values) value = is_norm ? 1.0F : normal(random_);
    tensors_.push_back(
        {std::move(name), TensorType::f32, std::move(shape), std::as_bytes(std::span(values))});
  }
  Status write(const fs::path& file) {
    return write_safetensors(file, tensors_);
  }

 private:
  std::mt19937 random_{7};
  std::vector<std::vector<float>> values_;
  std::vector<StoredTensor> tensors_;
};

}  // namespace

Status make_tiny_model(const fs::path& folder) {
  fs::create_directories(folder);
  write_json(folder / "config.json", {{"model_type", "llama"},
                                      {"architectures", {"LlamaForCausalLM"}},
                                      {"hidden_size", kWidth},
                                      {"num_hidden_layers", kLayers},
                                      {"num_attention_heads", kHeads},
                                      {"num_key_value_heads", kHeads},
                                      {"intermediate_size", kFeedForward},
                                      {"vocab_size", kVocabulary},
                                      {"max_position_embeddings", 512},
                                      {"rms_norm_eps", 1e-5},
                                      {"rope_theta", 10000.0},
                                      {"hidden_act", "silu"},
                                      {"tie_word_embeddings", true},
                                      {"bos_token_id", 256},
                                      {"eos_token_id", 257}});
  write_json(folder / "tokenizer.json", tokenizer());
  write_json(folder / "tokenizer_config.json",
             {{"eos_token", "<|im_end|>"},
              {"pad_token", "<|im_end|>"},
              {"chat_template",
               "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + "
               "message['content'] + '<|im_end|>' + '\n' }}{% endfor %}"
               "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"}});
  const Result<Architecture> architecture = read_architecture(folder);
  if (!architecture) return architecture.error();
  Weights weights;
  weights.add(std::string(kEmbeddingName), {kVocabulary, kWidth});
  weights.add(std::string(kFinalNormName), {kWidth});
  for (int layer = 0; layer < kLayers; ++layer) {
    weights.add(attention_norm_names(layer, NormPlace::before).before, {kWidth});
    weights.add(feed_forward_norm_names(layer, NormPlace::before).before, {kWidth});
    for (const Projection projection : kProjections) {
      weights.add(projection_weight_name(layer, projection),
                  {projection_outputs(*architecture, projection),
                   projection_inputs(*architecture, projection)});
    }
  }
  return weights.write(folder / "model.safetensors");
}

void make_tiny_data(const fs::path& file, int rows) {
  std::ofstream out(file);
  for (int row = 0; row < rows; ++row) {
    const std::string number = std::to_string(row);
    out << json_line({{"messages",
                       {{{"role", "user"}, {"content", "What is " + number + " and 1?"}},
                        {{"role", "assistant"}, {"content", std::to_string(row + 1)}}}}})
        << "\n";
  }
}

}  // namespace mayfly
