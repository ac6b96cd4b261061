// Clipping of gradients.
#pragma once

#include <ATen/core/Tensor.h>

namespace mayfly {

// Scales `gradients` down to `max_norm` if their norm is above it, as
// torch.nn.utils.clip_grad_norm_ does (factor max_norm / (norm + 1e-6)); 0: never. Returns the norm
// before, which is not finite when any gradient is not.
double clip_to_norm(const at::Tensor& gradients, double max_norm);

}  // namespace mayfly
