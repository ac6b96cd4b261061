// How long the rows of adapted weights are: ‖W + scale · B A‖, which DoRA divides by.
//
// Nothing of the size of W is kept or made but a block of its rows in float32: of the sum of
// squares the first part, ‖W‖², never changes, and the others need products with R columns only,
//
//   ‖w + s b A‖² = ‖w‖² + 2 s (w Aᵀ) · b + s² b (A Aᵀ) bᵀ     for a row w of W, b of B.
//
// Source: Liu et al. 2024, "DoRA: Weight-Decomposed Low-Rank Adaptation", arXiv:2402.09353.
#pragma once

#include <ATen/core/Tensor.h>

#include "trainer/ops/frozen_weight.h"

namespace mayfly {

// (outputs) float32.
at::Tensor squared_row_norms(const FrozenWeight& weight);

// (outputs) float32. `squared` as above; A (R, inputs), B (outputs, R), both float32. Costs the
// reading of W and 2 · outputs · inputs · R operations.
at::Tensor adapted_row_norms(const FrozenWeight& weight, const at::Tensor& squared,
                             const at::Tensor& A, const at::Tensor& B, double scale);

}  // namespace mayfly
