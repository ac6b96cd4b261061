#include "trainer/ops/rope_apply.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/neg.h>

#include "trainer/ops/device_ops.h"
#include "trainer/ops/on_rows.h"

namespace mayfly {

namespace {

void turn_heads(const at::Tensor& x, const at::Tensor& cosine, const at::Tensor& sine, Turn turn) {
  const std::int64_t half = cosine.size(1);
  if (has_row_kernels(x)) {
    const row_kernels::RopeRows form{.heads = x.size(1),
                                     .width = x.size(2),
                                     .half = half,
                                     .sign = turn == Turn::forward ? 1.0f : -1.0f};
    with_row_type(x, [&]<class T>(T) {
      for_row_ranges(x.size(0), form.heads * form.width,
                     [&](std::int64_t first, std::int64_t count) {
                       row_kernels::rope(row_data<T>(x) + first * form.heads * form.width,
                                         row_data<T>(cosine) + first * half,
                                         row_data<T>(sine) + first * half, count, form);
                     });
    });
    return;
  }
  const at::Tensor c = cosine.unsqueeze(1);
  const at::Tensor s = turn == Turn::forward ? sine.unsqueeze(1) : sine.unsqueeze(1).neg();
  const at::Tensor a = x.narrow(2, 0, half);
  const at::Tensor b = x.narrow(2, half, half);
  const at::Tensor turned_a = a.to(at::kFloat).mul(c).sub_(b.to(at::kFloat).mul(s));
  const at::Tensor turned_b = b.to(at::kFloat).mul(c).add_(a.to(at::kFloat).mul(s));
  a.copy_(turned_a);
  b.copy_(turned_b);
}

}  // namespace

void rope_apply(const at::Tensor& q, const at::Tensor& k, const at::Tensor& cosine,
                const at::Tensor& sine, Turn turn) {
  const bool turns_whole_heads = 2 * cosine.size(1) == q.size(2);
  const DeviceOps* const ops = device_ops(q);
  if (ops != nullptr && turns_whole_heads) {
    return ops->rope(q, k, cosine, sine, turn == Turn::backward);
  }
  turn_heads(q, cosine, sine, turn);
  turn_heads(k, cosine, sine, turn);
}

}  // namespace mayfly
