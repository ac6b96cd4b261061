#include "trainer/ops/swiglu.h"

#include <ATen/ops/empty_like.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/silu_backward.h>

#include "trainer/ops/device_ops.h"
#include "trainer/ops/on_rows.h"

namespace mayfly {

at::Tensor swiglu(const at::Tensor& e, const at::Tensor& g) {
  if (const DeviceOps* const ops = device_ops(e)) return ops->swiglu(e, g);
  if (has_row_kernels(e) && has_row_kernels(g)) {
    at::Tensor h = at::empty_like(e);
    with_row_type(e, [&]<class T>(T) {
      for_row_ranges(e.numel(), 1, [&](std::int64_t first, std::int64_t count) {
        row_kernels::swiglu(row_data<T>(h) + first, row_data<T>(e) + first, row_data<T>(g) + first,
                            count);
      });
    });
    return h;
  }
  return at::silu(e).mul_(g);
}

void swiglu_backward(const at::Tensor& e, const at::Tensor& g, const at::Tensor& dh) {
  if (const DeviceOps* const ops = device_ops(e)) return ops->swiglu_backward(e, g, dh);
  if (has_row_kernels(e) && has_row_kernels(g) && has_row_kernels(dh)) {
    with_row_type(e, [&]<class T>(T) {
      for_row_ranges(e.numel(), 1, [&](std::int64_t first, std::int64_t count) {
        row_kernels::swiglu_backward(row_data<T>(e) + first, row_data<T>(g) + first,
                                     row_data<T>(dh) + first, count);
      });
    });
    return;
  }
  const at::Tensor gate = at::silu(e);
  const at::Tensor de = at::silu_backward(dh.mul(g), e);
  const at::Tensor h = gate.mul(g);
  g.copy_(gate.mul_(dh));
  e.copy_(de);
  dh.copy_(h);
}

}  // namespace mayfly
