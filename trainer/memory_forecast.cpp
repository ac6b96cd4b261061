#include "trainer/memory_forecast.h"

#include <algorithm>
#include <fstream>
#include <limits>
#include <string>
#include <vector>

#include "trainer/batches.h"
#include "trainer/ops/device_ops.h"
#include "trainer/seeds.h"

namespace mayfly {

namespace {

// A field of /proc in kB; 0: it is not there.
std::int64_t proc_bytes(const char* file, const std::string& field) {
  std::ifstream in(file);
  std::int64_t kilobytes = 0;
  for (std::string word; in >> word;) {
    if (word == field && in >> kilobytes) return kilobytes * 1024;
  }
  return 0;
}

// What a container may have, where one is.
std::int64_t container_limit() {
  std::ifstream in("/sys/fs/cgroup/memory.max");
  std::int64_t bytes = 0;
  return in >> bytes ? bytes : std::numeric_limits<std::int64_t>::max();
}

std::int64_t tokens_of(const Dataset& data, const std::vector<std::uint32_t>& sequences) {
  std::int64_t tokens = 0;
  for (const std::uint32_t sequence : sequences) {
    for (const std::uint32_t row : data.sequences[sequence]) {
      tokens += static_cast<std::int64_t>(data.train[row].ids.size());
    }
  }
  return tokens;
}

std::int64_t largest_batch(const RunPlan& plan, const Dataset& data, const BatchSizes& sizes) {
  Batches batches(static_cast<std::int64_t>(data.sequences.size()), sizes,
                  data_order_seed(static_cast<std::uint64_t>(plan.seed)), plan.config.data.shuffle);
  const std::int64_t steps = batches.total_steps(plan.config.train);
  std::int64_t largest = 0;
  for (std::int64_t step = 0; step < steps; ++step) {
    for (const auto& batch : batches.of_step(step)) {
      largest = std::max(largest, tokens_of(data, batch));
    }
  }
  return largest;
}

}  // namespace

MachineMemory machine_memory(const ComputeDevice& device) {
  if (!device.device.is_cpu()) return {.there = gpu_free_bytes(device.device.index())};
  const std::int64_t program = proc_bytes("/proc/self/status", "VmRSS:");
  return {
      .program = program,
      .there = std::min(proc_bytes("/proc/meminfo", "MemAvailable:") + program, container_limit())};
}

TrainingMemory memory_of(const RunPlan& plan, const Architecture& model, const TrainingShape& shape,
                         const ComputeDevice& device) {
  TrainingMemory memory = training_memory(model, plan.config.lora, shape);
  // It is for a GPU's driver; there is room beside it, or swap.
  if (device.device.is_cpu()) memory.reserve = 0;
  return memory;
}

MemoryForecast memory_forecast(const RunPlan& plan, const Architecture& model, const Dataset& data,
                               const BatchSizes& sizes, const ComputeDevice& device) {
  MemoryForecast result;
  result.largest_batch = largest_batch(plan, data, sizes);
  result.shape = {.tokens = result.largest_batch,
                  .longest = data.train_counts.longest,
                  .bytes_a_number = device.type == at::kBFloat16 ? 2 : 4,
                  .quant = plan.config.quant,
                  .checkpointing = plan.config.train.gradient_checkpointing,
                  .moments = optimizer_moments(plan.config.train),
                  .fused = device.device.is_cpu()};
  result.memory = memory_of(plan, model, result.shape, device);
  return result;
}

BatchSizes auto_batch(const RunPlan& plan, const Architecture& model, const Dataset& data,
                      const MachineMemory& machine, const ComputeDevice& device) {
  const std::int64_t effective = batch_sizes(plan.config.train).effective;
  // The forecast is right within a tenth (docs/training.md).
  const std::int64_t most = machine.there - machine.there / 10 - machine.program;
  for (std::int64_t per_device = effective; per_device > 1; --per_device) {
    if (effective % per_device != 0) continue;
    const BatchSizes sizes{per_device, effective / per_device, effective};
    if (memory_forecast(plan, model, data, sizes, device).memory.total() <= most) return sizes;
  }
  return {1, effective, effective};
}

}  // namespace mayfly
