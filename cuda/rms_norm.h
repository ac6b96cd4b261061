// RMSNorm:  y[r, c] = x[r, c] * inv_rms[r] * weight[c],
//           inv_rms[r] = 1 / sqrt(mean over c of x[r, c]^2 + eps).
//
// Source   Zhang and Sennrich 2019, "Root Mean Square Layer Normalization", arXiv:1910.07467.
// Shapes   x, y (rows, cols) row-major and contiguous; weight (cols); inv_rms (rows).
// Types    x, y, weight: T, which is float or bf16. inv_rms and all arithmetic: float.
// Bytes    reads sizeof(T) * (rows * cols + cols), writes sizeof(T) * rows * cols + 4 * rows.
//          The second pass over x hits L2. About 1 flop a byte in bf16: bound by memory.
// Errors   returns the launch's error; faults in the kernel surface at the next synchronisation.
#pragma once

#include "cuda/launch.cuh"

namespace mayfly::cuda {

// `y` may alias `x`. Any rows >= 0 and cols >= 1; no alignment is needed.
template <class T>
cudaError_t rms_norm(T* y, float* inv_rms, const T* x, const T* weight, int rows, int cols,
                     float eps, cudaStream_t stream);

// The same in double and one loop, on the host: what the kernel is tested against.
template <class T>
void rms_norm_reference(T* y, float* inv_rms, const T* x, const T* weight, int rows, int cols,
                        float eps);

}  // namespace mayfly::cuda
