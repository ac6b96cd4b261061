#include "launcher/estimate.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <thread>

#include "core/config/run_config.h"
#include "core/model/gpu_table.h"
#include "core/run/directory.h"
#include "core/run/run_status.h"

namespace mayfly {

namespace {

// A round guess for one core of a server processor with AVX-512; the first run of a model on a
// machine replaces it by what was measured there.
constexpr double kFlopsPerCore = 30e9;
constexpr double kFlopsPerParameterAndToken = 4.0;
// Forward only.
constexpr double kHeldOutShare = 0.4;
constexpr double kAroundHere = 12.0;
constexpr double kCloudBoots = 300.0;
constexpr double kProgramBytes = 50e6;
// Of the trainer's libraries onto the disk, one wheel after the other: zlib's speed on one core of
// a server, about half of what was measured (docs/boot.md).
constexpr double kUnpackedPerSecond = 100e6;
// Where an offer does not say: the slowest that clouds commonly give.
constexpr double kCommonMbps = 1000;

Speed of_processor(std::int64_t parameters) {
  const unsigned cores = std::max(1U, std::thread::hardware_concurrency());
  const double flops = kFlopsPerCore * cores;
  const double per_token = kFlopsPerParameterAndToken * static_cast<double>(parameters);
  std::array<char, 128> text{};
  std::snprintf(text.data(), text.size(),
                "speed guessed: %u cores at %.0f Gflop/s each; no earlier run of this model here",
                cores, kFlopsPerCore / 1e9);
  return {std::max(1.0, flops / std::max(1.0, per_token)), text.data()};
}

}  // namespace

Speed expected_speed(const std::vector<KnownRun>& seen, const RunConfig& config,
                     const PlannedOffer& offer, const Architecture& model) {
  for (auto run = seen.rbegin(); run != seen.rend(); ++run) {
    const auto status = read_status(RunDirectory{run->run_dir}.status().string());
    if (!status || status->tokens_per_second <= 0) continue;
    const auto plan = read_plan(run->plan);
    if (!plan || plan->config.model.base != config.model.base) continue;
    if (plan->config.train.devices != config.train.devices) continue;
    if ((plan->offer.provider == "local") != (offer.provider == "local")) continue;
    if (plan->offer.gpu != offer.gpu) continue;
    return {status->tokens_per_second, "speed measured in run " + run->name};
  }
  if (offer.provider == "local") return of_processor(model.parameters());
  if (offer.gpu.empty()) return {0, "speed not known: the machine has no GPU that it tells of"};
  const auto row = gpu_row(offer.gpu);
  if (!row) return {0, "speed not known: " + offer.gpu + " is not in the table of GPUs"};
  std::array<char, 160> text{};
  const auto devices = static_cast<double>(config.train.devices);
  const double speed = devices * roofline_tokens_per_second(*row, model);
  std::snprintf(text.data(), text.size(),
                "%.0f tokens/s, a roofline from the data sheet of %s %s, not measured", speed,
                config.train.devices == 1 ? "one" : std::to_string(config.train.devices).c_str(),
                offer.gpu.c_str());
  return {speed, text.data()};
}

double seconds_around(const std::string& provider, std::int64_t model_bytes,
                      const std::vector<PlannedWheel>& runtime, std::optional<double> mbps) {
  if (provider == "local") return kAroundHere;
  const double bytes_per_second = std::max(1.0, mbps.value_or(kCommonMbps)) * 1e6 / 8;
  const auto fetched = static_cast<double>(model_bytes + download_bytes(runtime)) + kProgramBytes;
  const double boots = provider == "attached" ? kAroundHere : kCloudBoots;
  return boots + fetched / bytes_per_second +
         static_cast<double>(unpacked_bytes(runtime)) / kUnpackedPerSecond;
}

StepCount count_steps(std::int64_t sequences, const TrainConfig& train) {
  const std::int64_t batch = batch_sizes(train).effective;
  StepCount count;
  count.steps_per_epoch = std::max<std::int64_t>(1, (sequences + batch - 1) / batch);
  count.steps = train.max_steps.value_or(static_cast<std::int64_t>(
      std::ceil(train.epochs * static_cast<double>(count.steps_per_epoch))));
  count.whole_epochs = count.steps / count.steps_per_epoch;
  return count;
}

Estimate estimate_run(const DataCounts& train, const DataCounts& held_out, const StepCount& steps,
                      const RunConfig& config, const Speed& speed, double around) {
  Estimate estimate;
  estimate.examples = train.examples;
  estimate.steps = steps.steps;
  const double epochs =
      static_cast<double>(steps.steps) / static_cast<double>(steps.steps_per_epoch);
  estimate.tokens =
      static_cast<std::int64_t>(std::llround(epochs * static_cast<double>(train.tokens)));
  const std::int64_t evaluations =
      2 + (config.train.eval_steps ? steps.steps / *config.train.eval_steps : 0);
  const double held_out_tokens = kHeldOutShare * static_cast<double>(evaluations * held_out.tokens);
  estimate.seconds = around;
  if (speed.tokens_per_second > 0) {
    estimate.seconds +=
        (static_cast<double>(estimate.tokens) + held_out_tokens) / speed.tokens_per_second;
  }
  estimate.basis = speed.basis;
  return estimate;
}

Usd cost_of(const Price& price, double seconds) {
  const auto time = std::chrono::milliseconds(static_cast<std::int64_t>(seconds * 1000));
  return SpendMeter(price, WallTime{}).spent(WallTime(time));
}

}  // namespace mayfly
