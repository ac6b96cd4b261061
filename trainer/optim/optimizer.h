// What turns gradients into changed values, on one flat float32 buffer each.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include <ATen/core/Tensor.h>

#include "core/config/train_config.h"

namespace mayfly {

class Optimizer {
 public:
  // What it remembers of the steps before, under the name that a checkpoint keeps it by. Flat,
  // float32, as large as the values; copy into it to restore.
  struct Moment {
    std::string_view name;
    at::Tensor flat;
  };

  virtual ~Optimizer() = default;

  // Changes `values` by `gradients`, which stay as they are.
  virtual void step(const at::Tensor& values, const at::Tensor& gradients,
                    double learning_rate) = 0;
  virtual std::vector<Moment> moments() const = 0;
  // Of a run that goes on: how many steps were made.
  virtual void set_steps(std::int64_t steps) = 0;
};

// As train.optimizer says. `tensors`: the views of the flat buffer `values` that belong together,
// one a weight.
std::unique_ptr<Optimizer> make_optimizer(const TrainConfig& config, const at::Tensor& values,
                                          const std::vector<at::Tensor>& tensors);

}  // namespace mayfly
