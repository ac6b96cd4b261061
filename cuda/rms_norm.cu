#include <cmath>
#include <vector>

#include "cuda/convert.cuh"
#include "cuda/reduce.cuh"
#include "cuda/rms_norm.h"

namespace mayfly::cuda {
namespace {

constexpr int kKept = 2;  // packs of a row that a thread keeps

// What a row's forward and backward pass share.
template <class T>
__device__ inline float weighted(float x, float scale, float weight, bool one_plus) {
  if (one_plus) return x * scale * (1.0f + weight);
  return weight * rounded<T>(x * scale);
}

template <class T>
__device__ inline float gradient_before_weight(float dy, float weight, bool one_plus) {
  return one_plus ? (1.0f + weight) * dy : rounded<T>(weight * dy);
}

__device__ inline float inverse_rms(float sum_of_squares, const RmsNormForm& form) {
  return rsqrtf(sum_of_squares / static_cast<float>(form.cols) + form.eps);
}

// One block a row, the row in registers; blockDim.x · kKept packs cover it.
template <class T>
__global__ void __launch_bounds__(kMostThreads)
    norm_kernel(T* y, T* s, const T* x, const T* residual, const T* weight, RmsNormForm form) {
  __shared__ Partials partials;
  constexpr int kPack = kPackOf<T>;
  const std::int64_t start = static_cast<std::int64_t>(blockIdx.x) * form.cols;
  const int stride = static_cast<int>(blockDim.x) * kPack;
  const int first = static_cast<int>(threadIdx.x) * kPack;
  const int cols = static_cast<int>(form.cols);

  Pack<T, kPack> kept[kKept];
  float sum_of_squares = 0.0f;
#pragma unroll
  for (int k = 0; k < kKept; ++k) {
    const int c = first + k * stride;
    if (c >= cols) continue;
    kept[k] = load<kPack>(x + start + c);
    if (residual != nullptr) {
      const Pack<T, kPack> more = load<kPack>(residual + start + c);
#pragma unroll
      for (int i = 0; i < kPack; ++i) {
        kept[k].at[i] = narrow<T>(widen(kept[k].at[i]) + widen(more.at[i]));
      }
      store(s + start + c, kept[k]);
    }
#pragma unroll
    for (int i = 0; i < kPack; ++i) {
      const float value = widen(kept[k].at[i]);
      sum_of_squares += value * value;
    }
  }
  const float scale = inverse_rms(block_sum(sum_of_squares, partials), form);

#pragma unroll
  for (int k = 0; k < kKept; ++k) {
    const int c = first + k * stride;
    if (c >= cols) continue;
    const Pack<T, kPack> w = load<kPack>(weight + c);
    Pack<T, kPack> out;
#pragma unroll
    for (int i = 0; i < kPack; ++i) {
      out.at[i] =
          narrow<T>(weighted<T>(widen(kept[k].at[i]), scale, widen(w.at[i]), form.one_plus));
    }
    store(y + start + c, out);
  }
}

// Rows of any length and alignment. A thread reads again only what itself has read or written.
template <class T>
__global__ void __launch_bounds__(kMostThreads)
    norm_any_kernel(T* y, T* s, const T* x, const T* residual, const T* weight, RmsNormForm form) {
  __shared__ Partials partials;
  const std::int64_t start = static_cast<std::int64_t>(blockIdx.x) * form.cols;

  float sum_of_squares = 0.0f;
  for (std::int64_t c = threadIdx.x; c < form.cols; c += blockDim.x) {
    float value = widen(load(x + start + c).at[0]);
    if (residual != nullptr) {
      const T sum = narrow<T>(value + widen(load(residual + start + c).at[0]));
      store(s + start + c, Pack<T, 1>{sum});
      value = widen(sum);
    }
    sum_of_squares += value * value;
  }
  const float scale = inverse_rms(block_sum(sum_of_squares, partials), form);

  const T* const source = residual != nullptr ? s : x;
  for (std::int64_t c = threadIdx.x; c < form.cols; c += blockDim.x) {
    const float value = widen(load(source + start + c).at[0]);
    const float w = widen(load(weight + c).at[0]);
    store(y + start + c, Pack<T, 1>{narrow<T>(weighted<T>(value, scale, w, form.one_plus))});
  }
}

template <class T>
__global__ void __launch_bounds__(kMostThreads)
    backward_kernel(T* dx, const T* dy, const T* s, const T* weight, const T* dresidual,
                    RmsNormForm form) {
  __shared__ Partials partials;
  constexpr int kPack = kPackOf<T>;
  const std::int64_t start = static_cast<std::int64_t>(blockIdx.x) * form.cols;
  const int stride = static_cast<int>(blockDim.x) * kPack;
  const int first = static_cast<int>(threadIdx.x) * kPack;
  const int cols = static_cast<int>(form.cols);

  Pack<T, kPack> kept[kKept];
  float m[kKept][kPack];
  float sum_of_squares = 0.0f;
  float sum_of_products = 0.0f;
#pragma unroll
  for (int k = 0; k < kKept; ++k) {
    const int c = first + k * stride;
    if (c >= cols) continue;
    kept[k] = load<kPack>(s + start + c);
    const Pack<T, kPack> gradient = load<kPack>(dy + start + c);
    const Pack<T, kPack> w = load<kPack>(weight + c);
#pragma unroll
    for (int i = 0; i < kPack; ++i) {
      const float value = widen(kept[k].at[i]);
      m[k][i] = gradient_before_weight<T>(widen(gradient.at[i]), widen(w.at[i]), form.one_plus);
      sum_of_squares += value * value;
      sum_of_products += m[k][i] * value;
    }
  }
  const float scale = inverse_rms(block_sum(sum_of_squares, partials), form);
  const float mean = block_sum(sum_of_products, partials) / static_cast<float>(form.cols);
  const float back = scale * scale * mean;

#pragma unroll
  for (int k = 0; k < kKept; ++k) {
    const int c = first + k * stride;
    if (c >= cols) continue;
    Pack<T, kPack> more;
    if (dresidual != nullptr) more = load<kPack>(dresidual + start + c);
    Pack<T, kPack> out;
#pragma unroll
    for (int i = 0; i < kPack; ++i) {
      float value = scale * (m[k][i] - widen(kept[k].at[i]) * back);
      if (dresidual != nullptr) value += widen(more.at[i]);
      out.at[i] = narrow<T>(value);
    }
    store(dx + start + c, out);
  }
}

template <class T>
__global__ void __launch_bounds__(kMostThreads)
    backward_any_kernel(T* dx, const T* dy, const T* s, const T* weight, const T* dresidual,
                        RmsNormForm form) {
  __shared__ Partials partials;
  const std::int64_t start = static_cast<std::int64_t>(blockIdx.x) * form.cols;

  float sum_of_squares = 0.0f;
  float sum_of_products = 0.0f;
  for (std::int64_t c = threadIdx.x; c < form.cols; c += blockDim.x) {
    const float value = widen(load(s + start + c).at[0]);
    const float w = widen(load(weight + c).at[0]);
    const float gradient = widen(load(dy + start + c).at[0]);
    sum_of_squares += value * value;
    sum_of_products += gradient_before_weight<T>(gradient, w, form.one_plus) * value;
  }
  const float scale = inverse_rms(block_sum(sum_of_squares, partials), form);
  const float mean = block_sum(sum_of_products, partials) / static_cast<float>(form.cols);
  const float back = scale * scale * mean;

  for (std::int64_t c = threadIdx.x; c < form.cols; c += blockDim.x) {
    const float w = widen(load(weight + c).at[0]);
    const float gradient = widen(load(dy + start + c).at[0]);
    const float m = gradient_before_weight<T>(gradient, w, form.one_plus);
    float value = scale * (m - widen(load(s + start + c).at[0]) * back);
    if (dresidual != nullptr) value += widen(load(dresidual + start + c).at[0]);
    store(dx + start + c, Pack<T, 1>{narrow<T>(value)});
  }
}

constexpr int kAnyThreads = 256;

// As many warps as hold the row in registers; 0 if none do.
template <class T>
int threads_that_keep(std::int64_t cols) {
  const std::int64_t packs = cols / kPackOf<T>;
  const std::int64_t threads = (packs + kKept - 1) / kKept;
  const std::int64_t whole = (threads + kWarp - 1) / kWarp * kWarp;
  return whole <= kMostThreads ? static_cast<int>(whole) : 0;
}

}  // namespace

template <class T>
Error rms_norm(T* y, T* s, const T* x, const T* residual, const T* weight, const RmsNormForm& form,
               Stream stream) {
  if (form.rows == 0) return kSuccess;  // a grid of zero blocks is an error
  const int threads = threads_that_keep<T>(form.cols);
  if (threads > 0 && packs_fit<T>(form.cols, y, s, x, residual, weight)) {
    return launch(norm_kernel<T>, form.rows, threads, stream, y, s, x, residual, weight, form);
  }
  return launch(norm_any_kernel<T>, form.rows, kAnyThreads, stream, y, s, x, residual, weight,
                form);
}

template <class T>
Error rms_norm_backward(T* dx, const T* dy, const T* s, const T* weight, const T* dresidual,
                        const RmsNormForm& form, Stream stream) {
  if (form.rows == 0) return kSuccess;
  const int threads = threads_that_keep<T>(form.cols);
  if (threads > 0 && packs_fit<T>(form.cols, dx, dy, s, weight, dresidual)) {
    return launch(backward_kernel<T>, form.rows, threads, stream, dx, dy, s, weight, dresidual,
                  form);
  }
  return launch(backward_any_kernel<T>, form.rows, kAnyThreads, stream, dx, dy, s, weight,
                dresidual, form);
}

namespace {

double inverse_rms_of(const double* row, const RmsNormForm& form) {
  double sum_of_squares = 0.0;
  for (std::int64_t c = 0; c < form.cols; ++c) sum_of_squares += row[c] * row[c];
  return 1.0 /
         std::sqrt(sum_of_squares / static_cast<double>(form.cols) + static_cast<double>(form.eps));
}

template <class T>
double round_to(double value) {
  return to_float(from_float<T>(static_cast<float>(value)));
}

}  // namespace

template <class T>
void rms_norm_reference(double* y, double* s, const T* x, const T* residual, const T* weight,
                        const RmsNormForm& form) {
  for (std::int64_t r = 0; r < form.rows; ++r) {
    const std::int64_t start = r * form.cols;
    for (std::int64_t c = start; c < start + form.cols; ++c) {
      s[c] = to_float(x[c]);
      if (residual != nullptr) s[c] = round_to<T>(s[c] + to_float(residual[c]));
    }
    const double scale = inverse_rms_of(s + start, form);
    for (std::int64_t c = 0; c < form.cols; ++c) {
      const double w = to_float(weight[c]);
      const double normed = s[start + c] * scale;
      y[start + c] = form.one_plus ? normed * (1.0 + w) : w * round_to<T>(normed);
    }
  }
}

template <class T>
void rms_norm_backward_reference(double* dx, const T* dy, const T* s, const T* weight,
                                 const T* dresidual, const RmsNormForm& form) {
  std::vector<double> row(static_cast<std::size_t>(form.cols)), m(row.size());
  for (std::int64_t r = 0; r < form.rows; ++r) {
    const std::int64_t start = r * form.cols;
    double products = 0.0;
    for (std::int64_t c = 0; c < form.cols; ++c) {
      const auto at = static_cast<std::size_t>(c);
      const double w = to_float(weight[c]);
      const double gradient = to_float(dy[start + c]);
      row[at] = to_float(s[start + c]);
      m[at] = form.one_plus ? gradient * (1.0 + w) : round_to<T>(gradient * w);
      products += m[at] * row[at];
    }
    const double scale = inverse_rms_of(row.data(), form);
    const double mean = products / static_cast<double>(form.cols);
    for (std::int64_t c = 0; c < form.cols; ++c) {
      const auto at = static_cast<std::size_t>(c);
      dx[start + c] = scale * (m[at] - row[at] * scale * scale * mean);
      if (dresidual != nullptr) dx[start + c] += to_float(dresidual[start + c]);
    }
  }
}

#define MAYFLY_FOR_TYPE(T)                                                                         \
  template Error rms_norm(T*, T*, const T*, const T*, const T*, const RmsNormForm&, Stream);       \
  template Error rms_norm_backward(T*, const T*, const T*, const T*, const T*, const RmsNormForm&, \
                                   Stream);                                                        \
  template void rms_norm_reference(double*, double*, const T*, const T*, const T*,                 \
                                   const RmsNormForm&);                                            \
  template void rms_norm_backward_reference(double*, const T*, const T*, const T*, const T*,       \
                                            const RmsNormForm&);
MAYFLY_FOR_TYPE(float)
MAYFLY_FOR_TYPE(Bf16)
MAYFLY_FOR_TYPE(Fp16)
#undef MAYFLY_FOR_TYPE

}  // namespace mayfly::cuda
