#include "trainer/optim/adamw.h"

#include <optional>

#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/linalg_vector_norm.h>
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

double clip_to_norm(const at::Tensor& gradients, double max_norm) {
  // Summed in double: over millions of elements a float sum was 8e-4 off on SmolLM2-135M.
  const double norm =
      at::linalg_vector_norm(gradients, 2, std::nullopt, /*keepdim=*/false, at::kDouble)
          .item<double>();
  const double factor = max_norm / (norm + 1e-6);
  if (max_norm > 0 && factor < 1.0) gradients.mul_(factor);
  return norm;
}

}  // namespace mayfly
