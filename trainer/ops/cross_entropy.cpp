#include "trainer/ops/cross_entropy.h"

#include <algorithm>

#include <ATen/ops/empty_like.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/ones.h>

namespace mayfly {

namespace {

// Calls use(first row, number of rows) for slices whose logits fit into kLogitBytes.
void for_each_slice(std::int64_t rows, std::int64_t vocabulary, const auto& use) {
  const std::int64_t most =
      std::max<std::int64_t>(1, kLogitBytes / (vocabulary * std::int64_t{sizeof(float)}));
  for (std::int64_t first = 0; first < rows; first += most) {
    use(first, std::min(most, rows - first));
  }
}

// Logarithms of the probabilities, float32.
at::Tensor log_probabilities(const at::Tensor& hidden, const at::Tensor& head) {
  return at::log_softmax(at::mm(hidden, head.t()), -1, at::kFloat);
}

double picked_loss(const at::Tensor& log_probability, const at::Tensor& targets) {
  return -log_probability.gather(1, targets.unsqueeze(1)).sum(at::kDouble).item<double>();
}

}  // namespace

double cross_entropy(const at::Tensor& hidden, const at::Tensor& head, const at::Tensor& targets) {
  double loss = 0;
  for_each_slice(hidden.size(0), head.size(0), [&](std::int64_t first, std::int64_t count) {
    loss += picked_loss(log_probabilities(hidden.narrow(0, first, count), head),
                        targets.narrow(0, first, count));
  });
  return loss;
}

CrossEntropyGradient cross_entropy_with_gradient(const at::Tensor& hidden, const at::Tensor& head,
                                                 const at::Tensor& targets, double scale) {
  CrossEntropyGradient result{.loss = 0, .dhidden = at::empty_like(hidden)};
  for_each_slice(hidden.size(0), head.size(0), [&](std::int64_t first, std::int64_t count) {
    const at::Tensor slice_targets = targets.narrow(0, first, count);
    at::Tensor logits = log_probabilities(hidden.narrow(0, first, count), head);
    result.loss += picked_loss(logits, slice_targets);
    at::Tensor dlogits = logits.exp_();
    dlogits.scatter_add_(1, slice_targets.unsqueeze(1),
                         at::ones({count, 1}, dlogits.options()).neg_());
    at::Tensor dhidden = result.dhidden.narrow(0, first, count);
    dhidden.copy_(at::mm(dlogits.mul_(scale).to(head.scalar_type()), head));
  });
  return result;
}

}  // namespace mayfly
