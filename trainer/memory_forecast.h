// The peak of memory that a run will have, from its shapes and its very batches.
#pragma once

#include <cstdint>

#include "core/model/architecture.h"
#include "core/model/training_memory.h"
#include "core/run/plan.h"
#include "core/text/dataset.h"
#include "trainer/device.h"

namespace mayfly {

// What there is before the model is loaded. On a GPU of the GPU's memory.
struct MachineMemory {
  std::int64_t program = 0;  // resident already; on the CPU only
  std::int64_t there = 0;    // not used by others; 0: not known
};
MachineMemory machine_memory(const ComputeDevice& device);

struct MemoryForecast {
  std::int64_t largest_batch = 0;  // tokens of the largest micro-batch
  TrainingShape shape;
  TrainingMemory memory;  // on the CPU without a reserve
};

// Goes through every step of the run; with an order that is shuffled anew each epoch this is the
// only way to know the largest batch.
MemoryForecast memory_forecast(const RunPlan& plan, const Architecture& model, const Dataset& data,
                               const BatchSizes& sizes, const ComputeDevice& device);
// The formula alone, of another shape.
TrainingMemory memory_of(const RunPlan& plan, const Architecture& model, const TrainingShape& shape,
                         const ComputeDevice& device);

// train.auto_batch: the largest number of examples at once that divides the effective batch size
// and whose peak leaves a tenth of the memory free; 1, where none does. Where the memory is not
// known: 1.
BatchSizes auto_batch(const RunPlan& plan, const Architecture& model, const Dataset& data,
                      const MachineMemory& machine, const ComputeDevice& device);

}  // namespace mayfly
