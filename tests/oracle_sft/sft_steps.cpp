// Trains exactly the batches it is given, so that a script can compare step by step with the
// reference implementation:  sft_steps SPEC.json OUT_DIR
//
// SPEC   {"model", "adapter": folders, "bf16", "threads", "learning_rate", "warmup",
// "weight_decay",
//         "max_grad_norm", optionally "decay": steps (wsd), "quant": {"double"} and "generate":
//         tokens, "steps":
//         [[[{"tokens", "trained"}, ...] a micro-batch] a step]}
// OUT    steps.json (per step loss, grad_norm, learning_rate, tokens, supervised, seconds,
// cpu_seconds),
//        adapter_model.safetensors after the last step, gradients.safetensors of the first document
//        before the first, and logits.safetensors: "before" and
//        "after" of the first document. With "generate": generated.json, and the gradients are
//        made with each kind of checkpointing, which must give the same.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "core/atomic_file.h"
#include "core/json.h"
#include "trainer/device.h"
#include "trainer/nn/generate.h"
#include "trainer/nn/stored_tensor.h"
#include "trainer/nn/transformer.h"
#include "trainer/optim/schedule.h"
#include "trainer/step.h"

namespace mayfly {
namespace {

using nlohmann::json;

template <class T>
T need(Result<T> result) {
  if (!result) {
    std::fprintf(stderr, "sft_steps: %s\n", result.error().message.c_str());
    std::exit(1);
  }
  return std::move(*result);
}

PackedBatch micro_batch(const json& documents) {
  std::vector<std::vector<std::int32_t>> tokens;
  std::vector<std::vector<std::uint8_t>> trained;
  for (const json& document : documents) {
    tokens.push_back(document["tokens"].get<std::vector<std::int32_t>>());
    trained.push_back(document["trained"].get<std::vector<std::uint8_t>>());
  }
  std::vector<DocumentView> views;
  for (std::size_t i = 0; i < tokens.size(); ++i) views.push_back({tokens[i], trained[i]});
  return pack(views, at::kCPU);
}

Status write_tensors(const std::filesystem::path& path, const std::vector<NamedTensor>& tensors) {
  std::vector<StoredTensor> stored;
  for (const NamedTensor& tensor : tensors)
    stored.push_back(stored_view(tensor.name, tensor.value));
  return write_safetensors(path, stored);
}

// What is made again on the way back gives the same bits.
void check_checkpointing(const Transformer& model, const PackedBatch& batch, LoraAdapter& adapter) {
  const at::Tensor kept = adapter.gradients().clone();
  for (const Checkpointing checkpointing : {Checkpointing::feed_forward, Checkpointing::blocks}) {
    adapter.gradients().zero_();
    model.accumulate_gradients(batch, adapter, {.checkpointing = checkpointing});
    if (adapter.gradients().equal(kept)) continue;
    std::fprintf(stderr, "sft_steps: checkpointing changes the gradients\n");
    std::exit(1);
  }
}

// The likeliest continuation, `generate` tokens of it, of the first document.
json greedy(const Transformer& model, const LoraAdapter& adapter, const json& spec) {
  const auto prompt = spec["steps"][0][0][0]["tokens"].get<std::vector<std::int32_t>>();
  const Sampling sampling{.max_new_tokens = spec["generate"].get<std::int64_t>()};
  return generate(model, &adapter, prompt, {}, sampling);
}

std::unique_ptr<Optimizer> optimizer_of(const json& spec, const LoraAdapter& adapter) {
  TrainConfig config;
  for (const auto& [kind, name] : EnumNames<OptimizerKind>::values) {
    if (spec.value("optimizer", "adamw") == name) config.optimizer = kind;
  }
  if (config.optimizer == OptimizerKind::sgd) config.momentum = 0.9;
  config.weight_decay = spec["weight_decay"].get<double>();
  std::vector<at::Tensor> tensors;
  for (const NamedTensor& tensor : adapter.named(adapter.values())) {
    tensors.push_back(tensor.value);
  }
  return make_optimizer(config, adapter.values(), tensors);
}

void run(const json& spec, const std::filesystem::path& out) {
  const std::filesystem::path model_dir = spec["model"].get<std::string>();
  const at::ScalarType type = spec["bf16"].get<bool>() ? at::kBFloat16 : at::kFloat;
  set_threads(spec["threads"].get<std::int64_t>());
  QuantConfig quant;
  if (spec.contains("quant")) {
    quant = {.bits = QuantBits::four, .double_quant = spec["quant"]["double"].get<bool>()};
  }
  const Architecture architecture = need(read_architecture(model_dir));
  const Transformer model(architecture,
                          need(load_weights(model_dir, architecture, {at::kCPU, type, quant})));
  LoraAdapter adapter =
      need(LoraAdapter::read(architecture, spec["adapter"].get<std::string>(), at::kCPU, type));
  adapter.set_base(model.weights());
  const std::unique_ptr<Optimizer> optimizer = optimizer_of(spec, adapter);
  const Schedule schedule{.kind = spec.contains("decay") ? LrScheduler::wsd : LrScheduler::cosine,
                          .peak = spec["learning_rate"].get<double>(),
                          .warmup = spec["warmup"].get<std::int64_t>(),
                          .decay = spec.value("decay", std::int64_t{0}),
                          .steps = static_cast<std::int64_t>(spec["steps"].size())};

  const PackedBatch first = micro_batch(json::array({spec["steps"][0][0][0]}));
  const at::Tensor before = model.logits(first, &adapter);
  model.accumulate_gradients(first, adapter, {});
  need(write_tensors(out / "gradients.safetensors", adapter.named(adapter.gradients())));
  if (spec.contains("generate")) {
    check_checkpointing(model, first, adapter);
    need(write_file(out / "generated.json", json_text(greedy(model, adapter, spec))));
  }
  json steps = json::array();
  for (std::int64_t step = 0; step < schedule.steps; ++step) {
    std::vector<PackedBatch> batches;
    for (const json& documents : spec["steps"][static_cast<std::size_t>(step)]) {
      batches.push_back(micro_batch(documents));
    }
    const auto start = std::chrono::steady_clock::now();
    const std::clock_t cpu_start = std::clock();
    const StepSettings settings{.learning_rate = learning_rate_at(schedule, step),
                                .max_grad_norm = spec["max_grad_norm"].get<double>(),
                                .seed = 1,
                                .step = step};
    const StepResult result = train_step(model, adapter, *optimizer, batches, settings);
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    steps.push_back({{"loss", result.loss},
                     {"grad_norm", result.grad_norm},
                     {"learning_rate", settings.learning_rate},
                     {"tokens", result.tokens},
                     {"supervised", result.supervised},
                     {"seconds", took.count()},
                     {"cpu_seconds", static_cast<double>(std::clock() - cpu_start) /
                                         static_cast<double>(CLOCKS_PER_SEC)}});
  }
  need(write_file(out / "steps.json", json_text(steps)));

  need(write_tensors(out / "adapter_model.safetensors", adapter.named(adapter.values())));
  const at::Tensor after = model.logits(first, &adapter);
  need(write_safetensors(out / "logits.safetensors",
                         {stored_view("before", before), stored_view("after", after)}));
}

}  // namespace
}  // namespace mayfly

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: sft_steps SPEC.json OUT_DIR\n");
    return 2;
  }
  const auto text = mayfly::need(mayfly::read_file(argv[1]));
  mayfly::run(mayfly::need(mayfly::parse_json(text, argv[1])), argv[2]);
  return 0;
}
