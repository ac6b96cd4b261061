// The run as bytes: adapter and optimizer to tensors of a file, and back.
#pragma once

#include <vector>

#include <ATen/core/Tensor.h>

#include "core/model/safetensors.h"
#include "core/result.h"
#include "trainer/nn/lora.h"
#include "trainer/optim/optimizer.h"

namespace mayfly {

// Tensors to write. `stored` points into `kept`: copies on the CPU where that was needed.
struct Snapshot {
  std::vector<at::Tensor> kept;
  std::vector<StoredTensor> stored;
};

// Float32, under peft's names. Valid until the adapter changes.
Snapshot adapter_snapshot(const LoraAdapter& adapter);
// <moment>.<name>, such as first_moment.<name>.
Snapshot optimizer_snapshot(const LoraAdapter& adapter, const Optimizer& optimizer);

// Takes the values of a checkpoint's two files. Error: corrupt, when a tensor is missing, too many,
// or of another shape; nothing can be said about the values then.
Status restore(LoraAdapter& adapter, const SafetensorsFile& file);
Status restore(Optimizer& optimizer, const LoraAdapter& adapter, const SafetensorsFile& file);

}  // namespace mayfly
