#include "trainer/export_gguf.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <numbers>
#include <optional>
#include <utility>

#include <ATen/ops/empty.h>

#include "core/atomic_file.h"
#include "core/text/tokenizer.h"
#include "core/text/tokenizer_config.h"
#include "trainer/gguf_tensor.h"
#include "trainer/model_source.h"
#include "trainer/written_vocabulary.h"

namespace mayfly {

namespace {

namespace fs = std::filesystem;

constexpr const char* kRopeFactors = "rope_freqs.weight";

// The name in GGUF of a block's part, after "blk.<layer>.", by Projection.
constexpr std::array kGgufNames = {
    std::pair{Projection::q, "attn_q"},      std::pair{Projection::k, "attn_k"},
    std::pair{Projection::v, "attn_v"},      std::pair{Projection::o, "attn_output"},
    std::pair{Projection::gate, "ffn_gate"}, std::pair{Projection::up, "ffn_up"},
    std::pair{Projection::down, "ffn_down"}};

std::optional<Error> refusal_of(const Architecture& model) {
  const auto refuse = [](const std::string& what) {
    return Error{ErrorKind::unsupported, "`train export` does not write " + what,
                 "`train merge` does; llama.cpp's converter reads that folder"};
  };
  if (model.model_type != "llama") return refuse("models of the family " + model.model_type);
  if (model.biases.qkv || model.biases.o || model.biases.mlp) return refuse("models with biases");
  const RopeScaling scaling = model.ropes.all.scaling;
  if (scaling != RopeScaling::none && scaling != RopeScaling::llama3) {
    return refuse("rope scaling other than llama3's");
  }
  return std::nullopt;
}

// Llama 3.1's divisors of the rotary frequencies. Source: transformers, modeling_rope_utils.py,
// _compute_llama3_parameters; in float32 as the converter computes them.
std::vector<float> rope_factors(const Architecture& model) {
  const RopeSettings& scaling = model.ropes.all;
  std::vector<float> factors;
  for (std::int64_t i = 0; i < model.head_width; i += 2) {
    const double frequency =
        std::pow(scaling.theta, -static_cast<double>(i) / static_cast<double>(model.head_width));
    const double length = 2 * std::numbers::pi / frequency;
    const double low = scaling.original_positions / scaling.low_frequency_factor;
    const double high = scaling.original_positions / scaling.high_frequency_factor;
    double factor = 1.0;
    if (length > low) {
      factor = scaling.factor;
    } else if (length >= high) {
      const double smooth = (scaling.original_positions / length - scaling.low_frequency_factor) /
                            (scaling.high_frequency_factor - scaling.low_frequency_factor);
      factor = 1.0 / ((1.0 - smooth) / scaling.factor + smooth);
    }
    factors.push_back(static_cast<float>(factor));
  }
  return factors;
}

// A tensor of the file: where it comes from, and what is done to its rows.
struct Exported {
  GgufTensor tensor;
  const StoredTensor* stored = nullptr;  // nullptr: the rope's factors
  std::int64_t heads = 0;                // not 0: rows_for_neighbours
};

class GgufExport {
 public:
  GgufExport(const ExportRequest& request, const ModelSource& source)
      : request_(request), source_(source), model_(source.architecture()) {}

  Result<ExportedModel> run() {
    if (Status listed = list_tensors(); !listed) return listed.error();
    add_model_keys();
    if (Status added = add_text_keys(); !added) return added.error();
    std::vector<GgufTensor> tensors;
    ExportedModel exported;
    for (const Exported& each : exported_) {
      tensors.push_back(each.tensor);
      exported.bytes += each.tensor.bytes();
      exported.kept_in_f16 +=
          request_.type == GgufType::q8_0 && each.tensor.type == GgufType::f16 ? 1 : 0;
    }
    exported.tensors = static_cast<std::int64_t>(tensors.size());
    std::size_t next = 0;
    std::vector<std::byte> bytes;
    const Status written =
        write_gguf(request_.out, keys_, tensors,
                   [&](const GgufTensor& tensor) -> Result<std::span<const std::byte>> {
                     const Exported& each = exported_[next++];
                     Result<at::Tensor> value = value_of(each);
                     if (!value) return value.error();
                     bytes = gguf_numbers(*value, tensor.type);
                     return std::span<const std::byte>(bytes);
                   });
    if (!written) return written.error();
    return exported;
  }

 private:
  Result<at::Tensor> value_of(const Exported& each) const {
    if (each.stored == nullptr) {
      const std::vector<float> factors = rope_factors(model_);
      at::Tensor value = at::empty({static_cast<std::int64_t>(factors.size())}, at::kFloat);
      std::copy(factors.begin(), factors.end(), value.mutable_data_ptr<float>());
      return value;
    }
    Result<at::Tensor> value = source_.tensor(*each.stored);
    if (!value || each.heads == 0) return value;
    return rows_for_neighbours(*value, each.heads);
  }

  // Norms stay in float32; a matrix whose rows are no whole blocks cannot be in q8_0.
  GgufType type_of(const std::vector<std::int64_t>& shape) const {
    if (shape.size() < 2) return GgufType::f32;
    if (request_.type == GgufType::q8_0 && shape.back() % 32 != 0) return GgufType::f16;
    return request_.type;
  }

  Status add(const std::string& name, std::string_view ours, std::int64_t heads = 0) {
    const StoredTensor* const stored = source_.files().find(ours);
    if (stored == nullptr) {
      return Error{ErrorKind::corrupt,
                   "the model's tensor \"" + std::string(ours) + "\" is missing"};
    }
    exported_.push_back({{name, type_of(stored->shape), stored->shape}, stored, heads});
    return Unit{};
  }

  Status list_tensors() {
    if (model_.ropes.all.scaling == RopeScaling::llama3) {
      exported_.push_back({{kRopeFactors, GgufType::f32, {model_.head_width / 2}}, nullptr, 0});
    }
    Status added = add("token_embd.weight", kEmbeddingName);
    for (std::int64_t layer = 0; layer < model_.layers && added; ++layer) {
      const std::string block = "blk." + std::to_string(layer) + ".";
      added =
          add(block + "attn_norm.weight", attention_norm_names(layer, NormPlace::before).before);
      if (added) {
        added = add(block + "ffn_norm.weight",
                    feed_forward_norm_names(layer, NormPlace::before).before);
      }
      for (const auto& [projection, name] : kGgufNames) {
        if (!added) return added;
        const std::int64_t heads = projection == Projection::q   ? model_.heads
                                   : projection == Projection::k ? model_.kv_heads
                                                                 : 0;
        added = add(block + name + ".weight", projection_weight_name(layer, projection), heads);
      }
    }
    if (added) added = add("output_norm.weight", kFinalNormName);
    if (added && !model_.tied_embeddings) added = add("output.weight", kHeadName);
    return added;
  }

  void add_model_keys() {
    // LlamaFileType of llama.h.
    const std::uint32_t file_type = request_.type == GgufType::f32    ? 0
                                    : request_.type == GgufType::f16  ? 1
                                    : request_.type == GgufType::q8_0 ? 7
                                                                      : 32;
    const auto number = [this](const char* key, std::int64_t value) {
      keys_.number(key, static_cast<std::uint32_t>(value));
    };
    keys_.text("general.architecture", "llama");
    keys_.text("general.type", "model");
    const fs::path folder = fs::absolute(request_.model_dir).lexically_normal();
    keys_.text("general.name",
               (folder.has_filename() ? folder : folder.parent_path()).filename().string());
    number("llama.block_count", model_.layers);
    number("llama.context_length", model_.max_positions);
    number("llama.embedding_length", model_.width);
    number("llama.feed_forward_length", model_.ff_width);
    number("llama.attention.head_count", model_.heads);
    number("llama.attention.head_count_kv", model_.kv_heads);
    number("llama.attention.key_length", model_.head_width);
    number("llama.attention.value_length", model_.head_width);
    number("llama.rope.dimension_count", model_.head_width);
    keys_.real("llama.rope.freq_base", static_cast<float>(model_.ropes.all.theta));
    keys_.real("llama.attention.layer_norm_rms_epsilon", static_cast<float>(model_.norm_eps));
    number("llama.vocab_size", model_.vocabulary);
    number("general.file_type", file_type);
    number("general.quantization_version", 2);
  }

  Status add_text_keys() {
    const fs::path file = fs::path(request_.model_dir) / "tokenizer.json";
    const Result<std::string> text = read_file(file);
    if (!text) return text.error();
    const auto written = read_written_vocabulary(*text, model_.vocabulary, file.string());
    if (!written) return written.error();
    const Result<Tokenizer> tokenizer = Tokenizer::parse(*text, file.string());
    if (!tokenizer) return tokenizer.error();
    Result<TokenizerConfig> config = load_tokenizer_config(request_.model_dir);
    if (!config) return config.error();
    const fs::path own = fs::path(request_.adapter_dir) / "chat_template.jinja";
    std::error_code code;
    if (!request_.adapter_dir.empty() && fs::is_regular_file(own, code)) {
      Result<std::string> source = read_file(own);
      if (!source) return source.error();
      config->chat_template = std::move(*source);
    }
    keys_.text("tokenizer.ggml.model", "gpt2");
    keys_.text("tokenizer.ggml.pre", written->pre_tokenizer);
    keys_.texts("tokenizer.ggml.tokens", written->tokens);
    keys_.numbers("tokenizer.ggml.token_type", written->kinds);
    keys_.texts("tokenizer.ggml.merges", written->merges);
    const auto id = [&](const char* key, const std::string& token) {
      const auto found = token.empty() ? std::nullopt : tokenizer->id_of(token);
      if (found) keys_.number(key, static_cast<std::uint32_t>(*found));
      return found;
    };
    const auto first = id("tokenizer.ggml.bos_token_id", config->bos_token);
    id("tokenizer.ggml.eos_token_id", config->eos_token);
    id("tokenizer.ggml.unknown_token_id", config->unk_token);
    id("tokenizer.ggml.padding_token_id", config->pad_token);
    const std::vector<TokenId>& before = tokenizer->surround().before;
    keys_.flag("tokenizer.ggml.add_bos_token",
               first && before.size() == 1 && before.front() == *first);
    if (config->chat_template) keys_.text("tokenizer.chat_template", *config->chat_template);
    return Unit{};
  }

  const ExportRequest& request_;
  const ModelSource& source_;
  const Architecture& model_;
  GgufKeys keys_;
  std::vector<Exported> exported_;
};

}  // namespace

Result<ExportedModel> export_gguf(const ExportRequest& request) {
  std::error_code code;
  if (fs::exists(request.out, code)) {
    return Error{ErrorKind::usage, request.out + " is there already",
                 "give --out a new file, or remove that one"};
  }
  const Result<ModelSource> source = ModelSource::open(request.model_dir, request.adapter_dir);
  if (!source) return source.error();
  if (const auto refused = refusal_of(source->architecture())) return *refused;
  Result<ExportedModel> exported = GgufExport(request, *source).run();
  if (!exported) return while_doing("writing " + request.out, exported.error());
  return exported;
}

}  // namespace mayfly
