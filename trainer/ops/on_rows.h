// From tensors to the loops of row_kernels.h: which tensors have one, of which type, in how many
// threads.
#pragma once

#include <algorithm>
#include <cstdint>

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>

#include "trainer/ops/row_kernels.h"

namespace mayfly {

inline bool has_row_kernels(const at::Tensor& x) {
  return x.is_cpu() && x.is_contiguous() &&
         (x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16);
}

// Calls use(T{}) with T float or Bf16, whichever x has. REQUIRES: has_row_kernels(x).
void with_row_type(const at::Tensor& x, const auto& use) {
  if (x.scalar_type() == at::kFloat) {
    use(float{});
  } else {
    use(Bf16{});
  }
}

template <class T>
T* row_data(const at::Tensor& x) {
  return static_cast<T*>(x.data_ptr());
}

// Calls use(first, count) for ranges that cover `rows` rows of `width` elements, in several
// threads.
void for_row_ranges(std::int64_t rows, std::int64_t width, const auto& use) {
  constexpr std::int64_t kElements = 1 << 15;  // less is not worth waking a thread
  const std::int64_t grain =
      std::max<std::int64_t>(1, kElements / std::max<std::int64_t>(width, 1));
  at::parallel_for(0, rows, grain,
                   [&](std::int64_t first, std::int64_t last) { use(first, last - first); });
}

}  // namespace mayfly
