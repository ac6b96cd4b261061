// How fast text becomes tokens, one thread: loading a tokenizer.json, encoding, decoding, and a
// whole data set (reading JSONL, rendering the template, encoding, masking).
//
// Data: GSM8K's 14,946 training texts (5.1 MB of English, digits and line feeds) and OASST's 1,484
// (1.0 MB with Markdown and code), unpacked with xz. Model: SmolLM2 of ./dev setup, and Qwen3 of
// tests/data. The same loops in the reference: bench/tokenizer_reference.py, which runs this
// program too and prints both and their ratio.
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include "bench/material.h"
#include "core/text/dataset.h"
#include "core/text/records.h"

namespace mayfly {
namespace {

constexpr WallTime kToday{std::chrono::milliseconds{1'700'000'000'000}};

std::string folder_of(const std::string& model) {
  if (model == "smollm2") return smollm2_folder();
  const std::filesystem::path folder =
      std::filesystem::path(unpacked("qwen3/tokenizer.json.xz", "qwen3/tokenizer.json"))
          .parent_path();
  std::filesystem::copy_file(MAYFLY_SOURCE_DIR "/tests/data/qwen3/tokenizer_config.json",
                             folder / "tokenizer_config.json",
                             std::filesystem::copy_options::overwrite_existing);
  return folder;
}

std::string file_of(const std::string& data) {
  return data == "gsm8k" ? gsm8k_file() : unpacked("oasst/messages.jsonl.xz", "oasst.jsonl");
}

struct Case {
  std::string model, data;
};

std::vector<std::string> texts_of(const std::string& data) {
  std::vector<std::string> texts;
  const Records records = must(read_records(file_of(data), DataFormat::automatic, 0));
  for (const Record& record : records.records) {
    const auto& chat = std::get<Conversation>(record.content);
    for (const Message& message : chat.messages) texts.push_back(message.content);
  }
  return texts;
}

void load(benchmark::State& state, const Case& which) {
  const std::string folder = folder_of(which.model);
  for (auto _ : state) benchmark::DoNotOptimize(must(Tokenizer::load(folder)));
}

// `fresh`: with nothing remembered, as a program starts.
void encode(benchmark::State& state, const Case& which, bool fresh) {
  const Tokenizer tokenizer = must(Tokenizer::load(folder_of(which.model)));
  const std::vector<std::string> texts = texts_of(which.data);
  auto encoder = std::make_unique<Encoder>(tokenizer);
  std::size_t tokens = 0;
  std::size_t bytes = 0;
  for (auto _ : state) {
    if (fresh) encoder = std::make_unique<Encoder>(tokenizer);
    for (const std::string& text : texts) {
      tokens += encoder->encode(text).size();
      bytes += text.size();
    }
  }
  state.counters["tokens"] =
      benchmark::Counter(static_cast<double>(tokens), benchmark::Counter::kIsRate);
  state.SetBytesProcessed(static_cast<std::int64_t>(bytes));
}

void decode(benchmark::State& state, const Case& which) {
  const Tokenizer tokenizer = must(Tokenizer::load(folder_of(which.model)));
  std::vector<std::vector<TokenId>> rows;
  Encoder encoder(tokenizer);
  for (const std::string& text : texts_of(which.data)) rows.push_back(encoder.encode(text));
  std::size_t tokens = 0;
  for (auto _ : state) {
    for (const auto& ids : rows) {
      benchmark::DoNotOptimize(tokenizer.decode(ids, true));
      tokens += ids.size();
    }
  }
  state.counters["tokens"] =
      benchmark::Counter(static_cast<double>(tokens), benchmark::Counter::kIsRate);
}

void dataset(benchmark::State& state, const Case& which) {
  const TextModel model = must(TextModel::load(folder_of(which.model), kToday));
  DataConfig config;
  config.path = {file_of(which.data)};
  config.cutoff_len = 1 << 20;
  std::size_t rows = 0;
  for (auto _ : state) rows += must(load_dataset(config, model, {})).train.size();
  state.counters["rows"] =
      benchmark::Counter(static_cast<double>(rows), benchmark::Counter::kIsRate);
}

}  // namespace
}  // namespace mayfly

int main(int argc, char** argv) {
  using mayfly::Case;
  for (const std::string model : {"smollm2", "qwen3"}) {
    const auto name = [&](const std::string& what) { return what + "/" + model; };
    benchmark::RegisterBenchmark(name("load").c_str(), mayfly::load, Case{model, ""})
        ->Unit(benchmark::kMillisecond);
    for (const std::string data : {"gsm8k", "oasst"}) {
      const Case which{model, data};
      const auto add = [&](const std::string& what, auto... arguments) {
        benchmark::RegisterBenchmark((name(what) + "/" + data).c_str(), arguments...)
            ->Unit(benchmark::kMillisecond);
      };
      add("encode", mayfly::encode, which, false);
      add("encode_fresh", mayfly::encode, which, true);
      add("decode", mayfly::decode, which);
      add("dataset", mayfly::dataset, which);
    }
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
}
