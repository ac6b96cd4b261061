// Gradient descent with momentum on one flat float32 buffer, equal to torch.optim.SGD (its weight
// decay is part of the gradient, not decoupled as AdamW's is).
//
//   g ← g + decay · v;  m ← momentum · m + g;  v ← v - rate · m
#pragma once

#include "trainer/optim/optimizer.h"

namespace mayfly {

struct SgdSettings {
  double momentum = 0.0;  // 0: nothing is remembered
  double weight_decay = 0.0;
};

class Sgd : public Optimizer {
 public:
  // `like` gives size and device of the buffer to come.
  Sgd(const SgdSettings& settings, const at::Tensor& like);

  void step(const at::Tensor& values, const at::Tensor& gradients, double learning_rate) override;
  std::vector<Moment> moments() const override;
  void set_steps(std::int64_t) override {}  // no step depends on their number

 private:
  SgdSettings settings_;
  at::Tensor momentum_;  // undefined without momentum
};

}  // namespace mayfly
