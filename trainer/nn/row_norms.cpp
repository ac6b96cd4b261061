#include "trainer/nn/row_norms.h"

#include <algorithm>

#include <ATen/ops/empty.h>
#include <ATen/ops/mm.h>

namespace mayfly {

namespace {

constexpr std::int64_t kRowsAtOnce = 1024;

// Calls use(first, rows) with all rows of W, some at a time, in float32.
void for_row_blocks(const FrozenWeight& weight, const auto& use) {
  const at::Tensor W = weight.matrix();
  for (std::int64_t first = 0; first < W.size(0); first += kRowsAtOnce) {
    const std::int64_t count = std::min(kRowsAtOnce, W.size(0) - first);
    use(first, W.narrow(0, first, count).to(at::kFloat));
  }
}

}  // namespace

at::Tensor squared_row_norms(const FrozenWeight& weight) {
  const at::Tensor W = weight.matrix();
  at::Tensor squared = at::empty({W.size(0)}, W.options().dtype(at::kFloat));
  for_row_blocks(weight, [&](std::int64_t first, const at::Tensor& rows) {
    squared.narrow(0, first, rows.size(0)).copy_(rows.mul(rows).sum(1));
  });
  return squared;
}

at::Tensor adapted_row_norms(const FrozenWeight& weight, const at::Tensor& squared,
                             const at::Tensor& A, const at::Tensor& B, double scale) {
  // b (A Aᵀ) bᵀ, and no less than nothing by rounding.
  at::Tensor sums = at::mm(B, at::mm(A, A.t())).mul_(B).sum(1).mul_(scale * scale).add_(squared);
  for_row_blocks(weight, [&](std::int64_t first, const at::Tensor& rows) {
    const at::Tensor b = B.narrow(0, first, rows.size(0));
    const at::Tensor crossed = at::mm(rows, A.t()).mul_(b).sum(1);
    sums.narrow(0, first, rows.size(0)).add_(crossed, 2.0 * scale);
  });
  return sums.clamp_min_(0.0).sqrt_();
}

}  // namespace mayfly
