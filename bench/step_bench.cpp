// How fast a training step is: SmolLM2-135M-Instruct, GSM8K cut to 256 tokens, 4 conversations a
// step, LoRA of rank 16 on all linear layers, loss on all tokens or on the assistant's only.
//
// One iteration is one whole step (forward, backward, clipping, AdamW) on the next four
// conversations, padding none; `length/` are steps of 4,096 tokens in documents of so many, loss on
// all. `tokens` is all tokens of the steps in a second; the CPU column is
// the processor time of all threads, which other work on the machine disturbs less. MAYFLY_THREADS:
// threads of libtorch (1; 0: one a core).
#include <algorithm>
#include <span>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include "bench/material.h"
#include "trainer/batches.h"
#include "trainer/load_model.h"
#include "trainer/optim/adamw.h"
#include "trainer/step.h"

namespace mayfly {
namespace {

constexpr WallTime kToday{std::chrono::milliseconds{1'700'000'000'000}};
constexpr std::int64_t kPerStep = 4;
constexpr std::int64_t kSteps = 16;  // then the same data again
constexpr std::size_t kLengthTokens = 4096;

Dataset data_for(const TextModel& text, TrainOn train_on) {
  DataConfig config;
  config.path = {gsm8k_file()};
  config.cutoff_len = 256;
  config.sample_size = kPerStep * kSteps;
  config.train_on = train_on;
  config.test_size = 0;
  return must(load_dataset(config, text, {}));
}

std::vector<PackedBatch> batches_of(const Dataset& data, at::Device device) {
  std::vector<PackedBatch> batches;
  for (std::size_t first = 0; first + kPerStep <= data.train.size(); first += kPerStep) {
    std::vector<DocumentView> documents;
    for (std::size_t i = first; i < first + kPerStep; ++i) {
      documents.push_back({data.train[i].ids, data.train[i].trained});
    }
    batches.push_back(pack(documents, device));
  }
  return batches;
}

// One batch: the conversations one behind the other, cut anew into documents of `length` tokens.
std::vector<PackedBatch> batch_of_length(const Dataset& data, std::int64_t length,
                                         at::Device device) {
  std::vector<std::int32_t> tokens;
  for (const auto& example : data.train) {
    tokens.insert(tokens.end(), example.ids.begin(), example.ids.end());
  }
  if (tokens.size() < kLengthTokens) fail("too few tokens for the longest document");
  const std::vector<std::uint8_t> trained(kLengthTokens, 1);
  std::vector<DocumentView> documents;
  const auto step = static_cast<std::size_t>(length);
  for (std::size_t first = 0; first < kLengthTokens; first += step) {
    documents.push_back(
        {std::span(tokens).subspan(first, step), std::span(trained).subspan(first, step)});
  }
  return {pack(documents, device)};
}

void train_steps(benchmark::State& state, bool bf16, const auto& batches_for) {
  const ComputeDevice device = must(choose_device(Device::cpu, bf16));
  const LoadedModel model = must(load_model(smollm2_folder(), kToday, device, {}));
  LoraConfig lora;
  lora.r = 16;
  lora.alpha = 32.0;
  LoraAdapter adapter = must(make_adapter(model.transformer, lora, 42));
  AdamW optimizer({}, adapter.values());
  const std::vector<PackedBatch> batches = batches_for(model.text, device.device);

  std::int64_t step = 0;
  double tokens = 0;
  for (auto _ : state) {
    const PackedBatch& batch = batches[static_cast<std::size_t>(step) % batches.size()];
    const StepResult result =
        train_step(model.transformer, adapter, optimizer, {&batch, 1},
                   {.learning_rate = 1e-4, .max_grad_norm = 1.0, .seed = 42, .step = step});
    if (!result.finite) fail("the loss is not a number");
    tokens += static_cast<double>(result.tokens);
    ++step;
  }
  state.counters["tokens"] = benchmark::Counter(tokens, benchmark::Counter::kIsRate);
  state.counters["threads"] = static_cast<double>(threads());
}

void step_of_conversations(benchmark::State& state, bool bf16, TrainOn train_on) {
  train_steps(state, bf16, [train_on](const TextModel& text, at::Device device) {
    return batches_of(data_for(text, train_on), device);
  });
}

void step_of_length(benchmark::State& state, std::int64_t length) {
  train_steps(state, /*bf16=*/true, [length](const TextModel& text, at::Device device) {
    return batch_of_length(data_for(text, TrainOn::all), length, device);
  });
}

}  // namespace
}  // namespace mayfly

int main(int argc, char** argv) {
  using mayfly::TrainOn;
  const char* const threads = std::getenv("MAYFLY_THREADS");
  const long wanted = threads ? std::strtol(threads, nullptr, 10) : 1;
  mayfly::set_threads(wanted > 0 ? std::optional<std::int64_t>(wanted) : std::nullopt);
  for (const bool bf16 : {true, false}) {
    for (const TrainOn train_on : {TrainOn::all, TrainOn::assistant}) {
      const std::string name = std::string("step/") + (bf16 ? "bf16/" : "fp32/") +
                               (train_on == TrainOn::all ? "all" : "assistant");
      benchmark::RegisterBenchmark(name.c_str(), mayfly::step_of_conversations, bf16, train_on)
          ->Unit(benchmark::kMillisecond)
          ->MeasureProcessCPUTime()
          ->UseRealTime()
          ->MinTime(10);
    }
  }
  for (const std::int64_t length : {256, 512, 1024, 2048, 4096}) {
    const std::string name = "length/bf16/" + std::to_string(length);
    benchmark::RegisterBenchmark(name.c_str(), mayfly::step_of_length, length)
        ->Unit(benchmark::kMillisecond)
        ->MeasureProcessCPUTime()
        ->UseRealTime()
        ->MinTime(10);
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
}
