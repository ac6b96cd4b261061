// What a run will do and what memory it will need, found without training (`train sft --dry-run`):
// the data is encoded and cut into batches as the run would, the weights are only counted. Changes
// nothing on disk.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/model/training_memory.h"
#include "core/result.h"
#include "core/run/plan.h"
#include "core/text/dataset.h"
#include "trainer/device.h"

namespace mayfly {

struct Forecast {
  std::string device;
  std::string type;
  DataCounts data;
  std::int64_t held_out = 0;  // examples
  std::int64_t steps = 0;
  std::int64_t steps_per_epoch = 0;
  std::int64_t per_device_batch_size = 1;  // sequences computed at once
  std::int64_t processes = 1;              // that share the memory: those on one processor
  std::int64_t largest_batch = 0;          // tokens computed at once
  std::int64_t program_bytes = 0;  // on the CPU: of this process, its libraries and the data
  TrainingMemory memory;           // the rest; on the CPU without a reserve
  std::int64_t there_bytes = 0;    // memory of the machine not used by others; 0: not known
  std::string saves_most;          // the one setting that helps most, such as "...: true (1.2 GB)"
  std::vector<std::string> warnings;  // of the data

  std::int64_t peak_bytes() const {
    return program_bytes + memory.total();
  }
  bool fits() const {
    return there_bytes == 0 || peak_bytes() * processes <= there_bytes;
  }
};

// Takes as long as encoding the data. Errors: those of reading the model's configuration, its
// tokenizer and the data, and of an adapter that does not fit the model.
Result<Forecast> forecast(const RunPlan& plan, const ComputeDevice& device);

std::string forecast_text(const Forecast& forecast);
std::string forecast_json(const Forecast& forecast);

}  // namespace mayfly
