#include "trainer/optim/sgd.h"

#include <ATen/ops/add.h>
#include <ATen/ops/zeros_like.h>

namespace mayfly {

Sgd::Sgd(const SgdSettings& settings, const at::Tensor& like) : settings_(settings) {
  if (settings_.momentum > 0.0) momentum_ = at::zeros_like(like);
}

void Sgd::step(const at::Tensor& values, const at::Tensor& gradients, double learning_rate) {
  at::Tensor change = gradients;
  if (settings_.weight_decay > 0.0) change = at::add(change, values, settings_.weight_decay);
  if (momentum_.defined()) change = momentum_.mul_(settings_.momentum).add_(change);
  values.add_(change, -learning_rate);
}

std::vector<Optimizer::Moment> Sgd::moments() const {
  if (!momentum_.defined()) return {};
  return {{"momentum", momentum_}};
}

}  // namespace mayfly
