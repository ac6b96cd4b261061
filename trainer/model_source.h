// The tensors of a base model with an adapter in them, one at a time, as `train merge` and `train
// export` write them. Nothing is computed with the model, so it need not fit into memory.
#pragma once

#include <map>
#include <optional>
#include <string>

#include <ATen/core/Tensor.h>

#include "core/model/architecture.h"
#include "core/model/safetensors.h"
#include "core/result.h"
#include "trainer/nn/lora.h"

namespace mayfly {

class ModelSource {
 public:
  // `adapter_dir` "": the base model as it is. Errors: not_found, corrupt, unsupported (a family we
  // do not know, a checkpoint whose weights are in four bits).
  static Result<ModelSource> open(const std::string& model_dir, const std::string& adapter_dir);

  const Architecture& architecture() const {
    return architecture_;
  }
  const SafetensorsModel& files() const {
    return files_;
  }
  // How many tensors have an adapter.
  std::int64_t adapted() const;

  // W, or W + scale B A where it has an adapter, with its rows as long as DoRA says. In float32
  // where an adapter is in it, else in the file's own type; then possibly the mapped file itself,
  // valid as long as this object. Errors: unsupported (its type), diverged (with the adapter it has
  // numbers that are not finite).
  Result<at::Tensor> tensor(const StoredTensor& stored) const;

 private:
  ModelSource(Architecture architecture, SafetensorsModel files);
  Status place_factors();

  Architecture architecture_;
  SafetensorsModel files_;
  std::optional<LoraAdapter> adapter_;
  struct Factors {
    at::Tensor A, B, magnitude;  // views of adapter_; the last of DoRA only
  };
  std::map<std::string, Factors> factors_;  // by the name of the tensor that they adapt
};

}  // namespace mayfly
