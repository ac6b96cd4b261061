// AdamW on one flat float32 buffer, equal to torch.optim.AdamW (same kernel, decoupled decay).
//
//   v ← v (1 - rate · decay);  m ← b1 m + (1 - b1) g;  s ← b2 s + (1 - b2) g²
//   v ← v - rate · (m / (1 - b1^t)) / (sqrt(s / (1 - b2^t)) + eps)
//
// Source: Loshchilov and Hutter 2019, "Decoupled Weight Decay Regularization", arXiv:1711.05101.
#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

#include "core/config/train_config.h"

namespace mayfly {

struct AdamWSettings {
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 0.0;
};
AdamWSettings adamw_settings(const TrainConfig& config);

class AdamW {
 public:
  // `like` gives size and device of the buffer to come.
  AdamW(const AdamWSettings& settings, const at::Tensor& like);

  // Changes `values` by `gradients`, which stay as they are.
  void step(const at::Tensor& values, const at::Tensor& gradients, double learning_rate);

  // What a checkpoint keeps: both moments (flat, float32; copy into them to restore) and how many
  // steps were made.
  const at::Tensor& first_moment() const {
    return first_moment_;
  }
  const at::Tensor& second_moment() const {
    return second_moment_;
  }
  std::int64_t steps() const;
  void set_steps(std::int64_t steps);

 private:
  AdamWSettings settings_;
  at::Tensor first_moment_, second_moment_, steps_;
};

// Scales `gradients` down to `max_norm` if their norm is above it, as
// torch.nn.utils.clip_grad_norm_ does (factor max_norm / (norm + 1e-6)); 0: never. Returns the norm
// before, which is not finite when any gradient is not.
double clip_to_norm(const at::Tensor& gradients, double max_norm);

}  // namespace mayfly
