// AdamW on one flat float32 buffer, equal to torch.optim.AdamW (same kernel, decoupled decay).
//
//   v ← v (1 - rate · decay);  m ← b1 m + (1 - b1) g;  s ← b2 s + (1 - b2) g²
//   v ← v - rate · (m / (1 - b1^t)) / (sqrt(s / (1 - b2^t)) + eps)
//
// Source: Loshchilov and Hutter 2019, "Decoupled Weight Decay Regularization", arXiv:1711.05101.
#pragma once

#include "core/config/train_config.h"
#include "trainer/optim/optimizer.h"

namespace mayfly {

struct AdamWSettings {
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 0.0;
};
AdamWSettings adamw_settings(const TrainConfig& config);

class AdamW : public Optimizer {
 public:
  // `like` gives size and device of the buffer to come.
  AdamW(const AdamWSettings& settings, const at::Tensor& like);

  void step(const at::Tensor& values, const at::Tensor& gradients, double learning_rate) override;
  std::vector<Moment> moments() const override;
  void set_steps(std::int64_t steps) override;
  std::int64_t steps() const;

 private:
  AdamWSettings settings_;
  at::Tensor first_moment_, second_moment_, steps_;
};

}  // namespace mayfly
