#include "trainer/optim/clip.h"

#include <optional>

#include <ATen/ops/linalg_vector_norm.h>

namespace mayfly {

double clip_to_norm(const at::Tensor& gradients, double max_norm) {
  // Summed in double: over millions of elements a float sum was 8e-4 off on SmolLM2-135M.
  const double norm =
      at::linalg_vector_norm(gradients, 2, std::nullopt, /*keepdim=*/false, at::kDouble)
          .item<double>();
  const double factor = max_norm / (norm + 1e-6);
  if (max_norm > 0 && factor < 1.0) gradients.mul_(factor);
  return norm;
}

}  // namespace mayfly
