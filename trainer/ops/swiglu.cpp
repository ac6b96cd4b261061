#include "trainer/ops/swiglu.h"

#include <ATen/ops/mul.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/silu_backward.h>

namespace mayfly {

at::Tensor swiglu(const at::Tensor& e, const at::Tensor& g) {
  return at::silu(e).mul_(g);
}

SwigluGradients swiglu_backward(const at::Tensor& dh, const at::Tensor& e, const at::Tensor& g) {
  return {at::silu_backward(dh.mul(g), e), at::silu(e).mul_(dh)};
}

}  // namespace mayfly
