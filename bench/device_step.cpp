// Steps of training on a model with random weights, of any size and without any file: how fast, and
// in how much memory. One JSON line.
//
//   device_step MODEL TOKENS STEPS DEVICE [lora|qlora] [false|selective|true]
//
// MODEL  tiny, smollm2 or llama8b: shapes only. TOKENS of a step, in documents of at most 2048.
// DEVICE cpu or cuda. Prints tokens a second, and FLOP/s by the model's own arithmetic. Exit code
// 77 where there is no such device.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <span>
#include <string>
#include <vector>

#include <ATen/ops/empty.h>

#include "trainer/device.h"
#include "trainer/nn/transformer.h"
#include "trainer/ops/random.h"
#include "trainer/optim/adamw.h"
#include "trainer/step.h"

namespace mayfly {
namespace {

Architecture shape_of(const std::string& model) {
  Architecture a;
  a.model_type = "llama";
  const auto set = [&](std::int64_t D, std::int64_t layers, std::int64_t H, std::int64_t K,
                       std::int64_t E, std::int64_t F, std::int64_t V) {
    a.width = D, a.layers = layers, a.heads = H, a.kv_heads = K, a.head_width = E, a.ff_width = F;
    a.vocabulary = V;
  };
  if (model == "tiny") set(64, 2, 4, 2, 16, 160, 500);
  if (model == "smollm2") set(576, 30, 9, 3, 64, 1536, 49152);
  if (model == "llama8b") set(4096, 32, 32, 8, 128, 14336, 128256);
  a.tied_embeddings = model == "smollm2";
  return a;
}

// Quantised one by one, so that the 8B in four bits never stands there whole in sixteen.
DecoderWeights random_weights(const Architecture& a, const ComputeDevice& device, bool quantized) {
  const auto options = at::TensorOptions().device(device.device).dtype(device.type);
  const auto random = [&](at::IntArrayRef shape) {
    return at::empty(shape, options).normal_(0, 0.02);
  };
  const auto ones = [&] { return at::empty({a.width}, options).fill_(1.0); };
  at::Tensor scratch;
  if (quantized) scratch = at::empty({a.width * std::max(a.ff_width, a.query_width())}, options);
  DecoderWeights weights;
  weights.embedding = random({a.vocabulary, a.width});
  for (std::int64_t layer = 0; layer < a.layers; ++layer) {
    BlockWeights block{.attention_norms = {ones(), {}},
                       .feed_forward_norms = {ones(), {}},
                       .projections = {},
                       .query_norm = {},
                       .key_norm = {}};
    for (const Projection projection : kProjections) {
      at::Tensor dense =
          random({projection_outputs(a, projection), projection_inputs(a, projection)});
      block.projections[static_cast<std::size_t>(projection)] =
          quantized ? FrozenWeight(nf4_quantize(dense, true), scratch) : FrozenWeight(dense);
    }
    weights.blocks.push_back(std::move(block));
  }
  weights.final_norm = ones();
  weights.head = a.tied_embeddings ? weights.embedding : random({a.vocabulary, a.width});
  return weights;
}

PackedBatch random_batch(std::int64_t tokens, std::int64_t vocabulary, at::Device device) {
  constexpr std::int64_t kDocument = 2048;
  std::vector<std::vector<std::int32_t>> documents;
  std::uint64_t seed = 1;
  for (std::int64_t left = tokens; left > 0; left -= kDocument) {
    documents.emplace_back();
    for (std::int64_t i = 0; i < std::min(left, kDocument); ++i) {
      seed = derive_seed(seed, static_cast<std::uint64_t>(i));
      documents.back().push_back(
          static_cast<std::int32_t>(seed % static_cast<std::uint64_t>(vocabulary)));
    }
  }
  const std::vector<std::uint8_t> trained(static_cast<std::size_t>(kDocument), 1);
  std::vector<DocumentView> views;
  for (const auto& document : documents) {
    views.push_back({document, std::span(trained).first(document.size())});
  }
  return pack(views, device);
}

int run(const std::vector<std::string>& words) {
  const Architecture a = shape_of(words[0]);
  const std::int64_t tokens = std::atoll(words[1].c_str()), steps = std::atoll(words[2].c_str());
  const bool quantized = words[4] == "qlora";
  const Checkpointing checkpointing = words[5] == "true"        ? Checkpointing::blocks
                                      : words[5] == "selective" ? Checkpointing::feed_forward
                                                                : Checkpointing::off;
  if (a.width == 0 || tokens < 2 || steps < 1) return 2;
  const auto device = choose_device(words[3] == "cuda" ? Device::cuda : Device::cpu, {});
  if (!device) {
    std::fprintf(stderr, "device_step: %s\n", device.error().message.c_str());
    return 77;
  }
  set_threads({});
  const Transformer model(a, random_weights(a, *device, quantized));
  const LoraShape shape{.rank = 16,
                        .alpha = 32,
                        .dropout = 0,
                        .use_rslora = false,
                        .targets = *projections_named({"all-linear"}, Architecture())};
  LoraAdapter adapter = LoraAdapter::create(a, shape, 1, device->device, device->type);
  AdamW optimizer({}, adapter.values());
  const PackedBatch batch = random_batch(tokens, a.vocabulary, device->device);
  const StepSettings settings{
      .learning_rate = 1e-4, .max_grad_norm = 1.0, .checkpointing = checkpointing};
  double seconds = 0, loss = 0;
  for (std::int64_t step = -1; step < steps; ++step) {  // the first warms up
    const auto began = std::chrono::steady_clock::now();
    loss = train_step(model, adapter, optimizer, {&batch, 1}, settings).loss;  // waits for the GPU
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
    if (step >= 0) seconds += took.count();
  }
  const double rate = static_cast<double>(tokens * steps) / seconds;
  // Forward, and back to the inputs: 4 operations a weight and token; attention left out.
  const double flops = 4.0 * rate * static_cast<double>(a.parameters());
  std::printf(
      "{\"model\": \"%s\", \"tokens\": %lld, \"device\": \"%s\", \"form\": \"%s\", "
      "\"checkpointing\": \"%s\", \"loss\": %.4f, \"tokens_s\": %.1f, \"tflops\": %.3f}\n",
      words[0].c_str(), static_cast<long long>(tokens), device->name.c_str(), words[4].c_str(),
      words[5].c_str(), loss, rate, flops / 1e12);
  return 0;
}

}  // namespace
}  // namespace mayfly

int main(int argc, char** argv) {
  std::vector<std::string> words(argv + 1, argv + argc);
  if (words.size() < 4 || words.size() > 6) {
    std::fprintf(stderr, "usage: device_step MODEL TOKENS STEPS DEVICE [FORM] [CHECKPOINTING]\n");
    return 2;
  }
  if (words.size() < 5) words.emplace_back("lora");
  if (words.size() < 6) words.emplace_back("false");
  try {
    return mayfly::run(words);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "device_step: %s\n", error.what());
    return 1;
  }
}
