#include <cmath>
#include <limits>
#include <vector>

#include "cuda/convert.cuh"
#include "cuda/cross_entropy.h"
#include "cuda/reduce.cuh"

namespace mayfly::cuda {
namespace {

constexpr int kThreads = 512;

__device__ inline float capped(float x, float cap) {
  return cap > 0.0f ? cap * tanhf(x / cap) : x;
}

// What a thread knows of its part of the row.
struct Statistics {
  float greatest, exponentials, sum;
};

template <class T, int kPack>
__device__ inline void take_in(Statistics& row, const Pack<T, kPack>& pack, float cap) {
  float value[kPack];
  float greatest = row.greatest;
  for (int i = 0; i < kPack; ++i) {
    value[i] = capped(widen(pack.at[i]), cap);
    greatest = fmaxf(greatest, value[i]);
    row.sum += value[i];
  }
  if (greatest == -INFINITY) return;  // nothing but masked logits so far
  float exponentials = row.exponentials * expf(row.greatest - greatest);
  for (int i = 0; i < kPack; ++i) exponentials += expf(value[i] - greatest);
  row.exponentials = exponentials;
  row.greatest = greatest;
}

// One block a row.
template <class T, int kPack>
__global__ void __launch_bounds__(kThreads)
    row_kernel(float* loss, T* logits, const std::int64_t* targets, CrossEntropyForm form) {
  __shared__ Partials partials;
  const std::int64_t row = blockIdx.x;
  T* const x = logits + row * form.stride;
  const std::int64_t target = load(targets + row).at[0];
  const std::int64_t first = static_cast<std::int64_t>(threadIdx.x) * kPack;
  constexpr std::int64_t kStep = kThreads * kPack;

  Statistics mine{-INFINITY, 0.0f, 0.0f};
  for (std::int64_t c = first; c < form.cols; c += kStep) {
    take_in(mine, load<kPack>(x + c), form.soft_cap);
  }
  // Read before the barriers below, after which others overwrite it.
  float of_target = NAN;
  if (threadIdx.x == 0 && target >= 0 && target < form.cols) {
    of_target = capped(widen(load(x + target).at[0]), form.soft_cap);
  }
  const float greatest = block_max(mine.greatest, partials);
  const float exponentials = block_sum(
      mine.greatest == -INFINITY ? 0.0f : mine.exponentials * expf(mine.greatest - greatest),
      partials);
  const float lse = greatest + logf(exponentials);
  const float smooth = form.label_smoothing;
  const float width = static_cast<float>(form.cols);
  float mean = 0.0f;
  if (smooth > 0.0f) mean = block_sum(mine.sum, partials) / width;

  if (threadIdx.x == 0) {
    float value = (1.0f - smooth) * (lse - of_target) + form.z_loss * lse * lse;
    if (smooth > 0.0f) value += smooth * (lse - mean);
    store(loss + row, Pack<float, 1>{target < 0 ? 0.0f : value});
  }
  if (!form.gradient) return;

  const float scale = target < 0 ? 0.0f : form.scale;
  const float of_softmax = scale * (1.0f + 2.0f * form.z_loss * lse);
  const float even = scale * smooth / width;
  const float of_label = scale * (1.0f - smooth);
  const std::int64_t steps = (form.cols + kStep - 1) / kStep;
  for (std::int64_t step = steps - 1; step >= 0; --step) {
    const std::int64_t c = first + step * kStep;
    if (c >= form.cols) continue;
    const Pack<T, kPack> in = load<kPack>(x + c);
    Pack<T, kPack> out;
    for (int i = 0; i < kPack; ++i) {
      const float value = capped(widen(in.at[i]), form.soft_cap);
      float gradient = of_softmax * expf(value - lse) - even;
      if (c + i == target) gradient -= of_label;
      if (form.soft_cap > 0.0f) {
        const float bend = value / form.soft_cap;
        gradient *= 1.0f - bend * bend;
      }
      out.at[i] = narrow<T>(target < 0 ? 0.0f : gradient);
    }
    store(x + c, out);
  }
}

}  // namespace

template <class T>
Error cross_entropy(float* loss, T* logits, const std::int64_t* targets,
                    const CrossEntropyForm& form, Stream stream) {
  if (form.rows == 0) return kSuccess;
  const bool packs = packs_fit<T>(form.cols, logits) && form.stride % kPackOf<T> == 0;
  const auto kernel = packs ? row_kernel<T, kPackOf<T>> : row_kernel<T, 1>;
  return launch(kernel, form.rows, kThreads, stream, loss, logits, targets, form);
}

template <class T>
void cross_entropy_reference(double* loss, double* gradient, const T* logits,
                             const std::int64_t* targets, const CrossEntropyForm& form) {
  const auto cols = static_cast<std::size_t>(form.cols);
  const double cap = form.soft_cap, smooth = form.label_smoothing, z = form.z_loss;
  std::vector<double> value(cols);
  for (std::int64_t row = 0; row < form.rows; ++row) {
    const std::size_t start = static_cast<std::size_t>(row) * cols;
    double greatest = -std::numeric_limits<double>::infinity(), sum = 0.0, exponentials = 0.0;
    for (std::size_t c = 0; c < cols; ++c) {
      value[c] = to_float(logits[start + c]);
      if (cap > 0.0) value[c] = cap * std::tanh(value[c] / cap);
      greatest = std::max(greatest, value[c]);
      sum += value[c];
    }
    for (const double v : value) exponentials += std::exp(v - greatest);
    const double lse = greatest + std::log(exponentials);
    const std::int64_t target = targets[row];
    const bool counts = target >= 0;
    const auto label = static_cast<std::size_t>(target);
    loss[row] = counts ? (1.0 - smooth) * (lse - value[label]) + z * lse * lse : 0.0;
    if (counts && smooth > 0.0) loss[row] += smooth * (lse - sum / static_cast<double>(cols));
    if (gradient == nullptr) continue;
    for (std::size_t c = 0; c < cols; ++c) {
      double slope = std::exp(value[c] - lse) * (1.0 + 2.0 * z * lse);
      slope -= smooth / static_cast<double>(cols) + (c == label ? 1.0 - smooth : 0.0);
      if (cap > 0.0) slope *= 1.0 - std::pow(value[c] / cap, 2);
      gradient[start + c] = counts ? form.scale * slope : 0.0;
    }
  }
}

// One list for the three types.
#define MAYFLY_FOR_TYPE(T)                                                                        \
  template Error cross_entropy(float*, T*, const std::int64_t*, const CrossEntropyForm&, Stream); \
  template void cross_entropy_reference(double*, double*, const T*, const std::int64_t*,          \
                                        const CrossEntropyForm&);
MAYFLY_FOR_TYPE(float)
MAYFLY_FOR_TYPE(Bf16)
MAYFLY_FOR_TYPE(Fp16)
#undef MAYFLY_FOR_TYPE

}  // namespace mayfly::cuda
