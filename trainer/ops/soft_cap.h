// x becomes cap · tanh(x / cap), in place, rounded after each step as in transformers' Gemma 2; a
// cap of 0 leaves it as it is.
#pragma once

#include <ATen/core/Tensor.h>

namespace mayfly {

inline void soft_cap(const at::Tensor& x, double cap) {
  if (cap > 0) x.div_(cap).tanh_().mul_(cap);
}

}  // namespace mayfly
