#include "trainer/ops/glu.h"

#include <ATen/ops/empty_like.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/gelu_backward.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/silu_backward.h>

#include "trainer/ops/device_ops.h"
#include "trainer/ops/on_rows.h"

namespace mayfly {

at::Tensor glu(const at::Tensor& e, const at::Tensor& g, GateActivation activation) {
  if (const DeviceOps* const ops = device_ops(e)) return ops->glu(e, g, activation);
  if (has_row_kernels(e) && has_row_kernels(g)) {
    at::Tensor h = at::empty_like(e);
    with_row_type(e, [&]<class T>(T) {
      for_row_ranges(e.numel(), 1, [&](std::int64_t first, std::int64_t count) {
        row_kernels::glu(row_data<T>(h) + first, row_data<T>(e) + first, row_data<T>(g) + first,
                         count, activation);
      });
    });
    return h;
  }
  return (activation == GateActivation::silu ? at::silu(e) : at::gelu(e, "tanh")).mul_(g);
}

void glu_backward(const at::Tensor& e, const at::Tensor& g, const at::Tensor& dh,
                  GateActivation activation) {
  if (const DeviceOps* const ops = device_ops(e)) return ops->glu_backward(e, g, dh, activation);
  if (has_row_kernels(e) && has_row_kernels(g) && has_row_kernels(dh)) {
    with_row_type(e, [&]<class T>(T) {
      for_row_ranges(e.numel(), 1, [&](std::int64_t first, std::int64_t count) {
        row_kernels::glu_backward(row_data<T>(e) + first, row_data<T>(g) + first,
                                  row_data<T>(dh) + first, count, activation);
      });
    });
    return;
  }
  const bool is_silu = activation == GateActivation::silu;
  const at::Tensor gate = is_silu ? at::silu(e) : at::gelu(e, "tanh");
  const at::Tensor df = dh.mul(g);
  const at::Tensor de = is_silu ? at::silu_backward(df, e) : at::gelu_backward(df, e, "tanh");
  const at::Tensor h = gate.mul(g);
  g.copy_(gate.mul_(dh));
  e.copy_(de);
  dh.copy_(h);
}

}  // namespace mayfly
