#include "trainer/optim/adamw.h"

#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

namespace mayfly {

AdamWSettings adamw_settings(const TrainConfig& config) {
  return {.beta1 = config.adam_beta1,
          .beta2 = config.adam_beta2,
          .eps = config.adam_eps,
          .weight_decay = config.weight_decay};
}

AdamW::AdamW(const AdamWSettings& settings, const at::Tensor& like)
    : settings_(settings),
      first_moment_(at::zeros_like(like)),
      second_moment_(at::zeros_like(like)),
      steps_(at::zeros({}, like.options())) {}  // a float32 scalar, as the fused kernel wants it

void AdamW::step(const at::Tensor& values, const at::Tensor& gradients, double learning_rate) {
  steps_.add_(1.0);
  at::_fused_adamw_({values}, {gradients}, {first_moment_}, {second_moment_}, {}, {steps_},
                    learning_rate, settings_.beta1, settings_.beta2, settings_.weight_decay,
                    settings_.eps, /*amsgrad=*/false, /*maximize=*/false);
}

std::int64_t AdamW::steps() const {
  return static_cast<std::int64_t>(steps_.item<float>());
}

void AdamW::set_steps(std::int64_t steps) {
  steps_.fill_(static_cast<double>(steps));
}

std::vector<Optimizer::Moment> AdamW::moments() const {
  return {{"first_moment", first_moment_}, {"second_moment", second_moment_}};
}

}  // namespace mayfly
