#include <cmath>
#include <cstdint>

#include "cuda/reduce.cuh"
#include "cuda/rms_norm.h"

namespace mayfly::cuda {
namespace {

constexpr int kThreads = 256;  // one block a row

template <class T>
__global__ void rms_norm_kernel(T* y, float* inv_rms, const T* x, const T* weight, int cols,
                                float eps) {
  __shared__ float partial[kThreads / kWarp];
  const int row = static_cast<int>(blockIdx.x);
  const int first = static_cast<int>(threadIdx.x);
  const std::int64_t start = static_cast<std::int64_t>(row) * cols;  // rows * cols can pass 2^31

  float sum_of_squares = 0.0f;
  for (int c = first; c < cols; c += kThreads) {
    const float value = static_cast<float>(x[start + c]);
    sum_of_squares += value * value;
  }
  const float mean = block_sum(sum_of_squares, partial) / static_cast<float>(cols);
  const float scale = rsqrtf(mean + eps);
  if (first == 0) inv_rms[row] = scale;  // kept for the backward pass

  for (int c = first; c < cols; c += kThreads) {
    const float value = static_cast<float>(x[start + c]);
    y[start + c] = static_cast<T>(value * scale * static_cast<float>(weight[c]));
  }
}

}  // namespace

template <class T>
cudaError_t rms_norm(T* y, float* inv_rms, const T* x, const T* weight, int rows, int cols,
                     float eps, cudaStream_t stream) {
  if (rows == 0) return cudaSuccess;  // a grid of zero blocks is an error
  return launch(rms_norm_kernel<T>, rows, kThreads, stream, y, inv_rms, x, weight, cols, eps);
}

template <class T>
void rms_norm_reference(T* y, float* inv_rms, const T* x, const T* weight, int rows, int cols,
                        float eps) {
  for (int r = 0; r < rows; ++r) {
    const T* const in = x + static_cast<std::int64_t>(r) * cols;
    T* const out = y + static_cast<std::int64_t>(r) * cols;
    double sum_of_squares = 0.0;
    for (int c = 0; c < cols; ++c) {
      sum_of_squares += static_cast<double>(in[c]) * static_cast<double>(in[c]);
    }
    const double scale = 1.0 / std::sqrt(sum_of_squares / cols + static_cast<double>(eps));
    inv_rms[r] = static_cast<float>(scale);
    for (int c = 0; c < cols; ++c) {
      out[c] = static_cast<T>(static_cast<double>(in[c]) * scale * static_cast<double>(weight[c]));
    }
  }
}

template cudaError_t rms_norm<float>(float*, float*, const float*, const float*, int, int, float,
                                     cudaStream_t);
template void rms_norm_reference<float>(float*, float*, const float*, const float*, int, int,
                                        float);

}  // namespace mayfly::cuda
