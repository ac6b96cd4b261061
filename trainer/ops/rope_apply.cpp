#include "trainer/ops/rope_apply.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/neg.h>

namespace mayfly {

void rope_apply(const at::Tensor& x, const at::Tensor& cosine, const at::Tensor& sine, Turn turn) {
  const std::int64_t half = x.size(2) / 2;
  const at::Tensor c = cosine.unsqueeze(1);
  const at::Tensor s = turn == Turn::forward ? sine.unsqueeze(1) : sine.unsqueeze(1).neg();
  const at::Tensor a = x.narrow(2, 0, half);
  const at::Tensor b = x.narrow(2, half, half);
  const at::Tensor turned_a = a.to(at::kFloat).mul(c).sub_(b.to(at::kFloat).mul(s));
  const at::Tensor turned_b = b.to(at::kFloat).mul(c).add_(a.to(at::kFloat).mul(s));
  a.copy_(turned_a);
  b.copy_(turned_b);
}

}  // namespace mayfly
