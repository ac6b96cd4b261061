#include "trainer/ops/swiglu.h"

#include <ATen/ops/empty_like.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/silu_backward.h>

#include "trainer/ops/on_rows.h"

namespace mayfly {

at::Tensor swiglu(const at::Tensor& e, const at::Tensor& g) {
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

SwigluGradients swiglu_backward(const at::Tensor& dh, const at::Tensor& e, const at::Tensor& g) {
  if (has_row_kernels(e) && has_row_kernels(g) && has_row_kernels(dh)) {
    SwigluGradients gradients{at::empty_like(e), at::empty_like(g)};
    with_row_type(e, [&]<class T>(T) {
      for_row_ranges(e.numel(), 1, [&](std::int64_t first, std::int64_t count) {
        row_kernels::swiglu_backward(row_data<T>(gradients.de) + first,
                                     row_data<T>(gradients.dg) + first, row_data<T>(dh) + first,
                                     row_data<T>(e) + first, row_data<T>(g) + first, count);
      });
    });
    return gradients;
  }
  return {at::silu_backward(dh.mul(g), e), at::silu(e).mul_(dh)};
}

}  // namespace mayfly
