#include <cmath>

#include "cuda/convert.cuh"
#include "cuda/glu.h"

namespace mayfly::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kUnroll = 2;

constexpr double kGeluScale = 0.7978845608028654;  // sqrt(2 / pi)
constexpr double kGeluCubic = 0.044715;

struct Activation {
  float value, slope;
};

__device__ inline Activation activate(float e, Gate gate) {
  if (gate == Gate::silu) {
    const float sigma = 1.0f / (1.0f + expf(-e));
    return {e * sigma, sigma * (1.0f + e * (1.0f - sigma))};
  }
  constexpr auto kScale = static_cast<float>(kGeluScale);
  constexpr auto kCubic = static_cast<float>(kGeluCubic);
  const float t = tanhf(kScale * (e + kCubic * e * e * e));
  const float slope_of_inner = kScale * (1.0f + 3.0f * kCubic * e * e);
  return {0.5f * e * (1.0f + t), 0.5f * (1.0f + t) + 0.5f * e * (1.0f - t * t) * slope_of_inner};
}

// Which row, and where in it, a block begins: each takes kThreads · kUnroll packs of one row.
struct Piece {
  std::int64_t row, first;
};

template <int kPack>
__device__ inline Piece piece_of_block(std::int64_t cols) {
  constexpr std::int64_t kWidth = kThreads * kUnroll * kPack;
  const std::int64_t pieces = (cols + kWidth - 1) / kWidth;
  const std::int64_t block = blockIdx.x;
  return {block / pieces, block % pieces * kWidth + static_cast<int>(threadIdx.x) * kPack};
}

template <class T, int kPack>
__global__ void __launch_bounds__(kThreads)
    forward_kernel(T* h, const T* e, const T* g, GluForm form) {
  const Piece piece = piece_of_block<kPack>(form.cols);
  const std::int64_t in = piece.row * form.stride;
  const std::int64_t out = piece.row * form.cols;
  for (int u = 0; u < kUnroll; ++u) {
    const std::int64_t c = piece.first + u * kThreads * kPack;
    if (c >= form.cols) continue;
    const Pack<T, kPack> gate = load<kPack>(e + in + c);
    const Pack<T, kPack> up = load<kPack>(g + in + c);
    Pack<T, kPack> product;
    for (int i = 0; i < kPack; ++i) {
      const float f = rounded<T>(activate(widen(gate.at[i]), form.gate).value);
      product.at[i] = narrow<T>(f * widen(up.at[i]));
    }
    store(h + out + c, product);
  }
}

template <class T, int kPack>
__global__ void __launch_bounds__(kThreads)
    backward_kernel(T* de, T* dg, T* h, const T* dh, const T* e, const T* g, GluForm form) {
  const Piece piece = piece_of_block<kPack>(form.cols);
  const std::int64_t in = piece.row * form.stride;
  const std::int64_t out = piece.row * form.cols;
  for (int u = 0; u < kUnroll; ++u) {
    const std::int64_t c = piece.first + u * kThreads * kPack;
    if (c >= form.cols) continue;
    const Pack<T, kPack> gradient = load<kPack>(dh + out + c);
    const Pack<T, kPack> gate = load<kPack>(e + in + c);
    const Pack<T, kPack> up = load<kPack>(g + in + c);
    Pack<T, kPack> gate_gradient, up_gradient, product;
    for (int i = 0; i < kPack; ++i) {
      const Activation activation = activate(widen(gate.at[i]), form.gate);
      const float f = rounded<T>(activation.value);
      const float df = rounded<T>(widen(gradient.at[i]) * widen(up.at[i]));
      gate_gradient.at[i] = narrow<T>(df * activation.slope);
      up_gradient.at[i] = narrow<T>(widen(gradient.at[i]) * f);
      product.at[i] = narrow<T>(f * widen(up.at[i]));
    }
    store(de + in + c, gate_gradient);
    store(dg + in + c, up_gradient);
    if (h != nullptr) store(h + out + c, product);
  }
}

template <int kPack>
std::int64_t blocks_for(const GluForm& form) {
  constexpr std::int64_t kWidth = kThreads * kUnroll * kPack;
  return form.rows * ((form.cols + kWidth - 1) / kWidth);
}

}  // namespace

template <class T>
Error glu(T* h, const T* e, const T* g, const GluForm& form, Stream stream) {
  if (form.rows == 0) return kSuccess;
  if (packs_fit<T>(form.cols, h, e, g) && form.stride % kPackOf<T> == 0) {
    return launch(forward_kernel<T, kPackOf<T>>, blocks_for<kPackOf<T>>(form), kThreads, stream, h,
                  e, g, form);
  }
  return launch(forward_kernel<T, 1>, blocks_for<1>(form), kThreads, stream, h, e, g, form);
}

template <class T>
Error glu_backward(T* de, T* dg, T* h, const T* dh, const T* e, const T* g, const GluForm& form,
                   Stream stream) {
  if (form.rows == 0) return kSuccess;
  if (packs_fit<T>(form.cols, de, dg, h, dh, e, g) && form.stride % kPackOf<T> == 0) {
    return launch(backward_kernel<T, kPackOf<T>>, blocks_for<kPackOf<T>>(form), kThreads, stream,
                  de, dg, h, dh, e, g, form);
  }
  return launch(backward_kernel<T, 1>, blocks_for<1>(form), kThreads, stream, de, dg, h, dh, e, g,
                form);
}

namespace {

struct ExactActivation {
  double value, slope;
};

ExactActivation exactly(double e, Gate gate) {
  if (gate == Gate::silu) {
    const double sigma = 1.0 / (1.0 + std::exp(-e));
    return {e * sigma, sigma * (1.0 + e * (1.0 - sigma))};
  }
  const double t = std::tanh(kGeluScale * (e + kGeluCubic * e * e * e));
  const double slope = kGeluScale * (1.0 + 3.0 * kGeluCubic * e * e);
  return {0.5 * e * (1.0 + t), 0.5 * (1.0 + t) + 0.5 * e * (1.0 - t * t) * slope};
}

template <class T>
double round_to(double value) {
  return to_float(from_float<T>(static_cast<float>(value)));
}

}  // namespace

template <class T>
void glu_reference(double* h, const T* e, const T* g, const GluForm& form) {
  for (std::int64_t i = 0; i < form.rows * form.cols; ++i) {
    h[i] = round_to<T>(exactly(to_float(e[i]), form.gate).value) * to_float(g[i]);
  }
}

template <class T>
void glu_backward_reference(double* de, double* dg, const T* dh, const T* e, const T* g,
                            const GluForm& form) {
  for (std::int64_t i = 0; i < form.rows * form.cols; ++i) {
    const ExactActivation activation = exactly(to_float(e[i]), form.gate);
    const double gradient = to_float(dh[i]);
    de[i] = round_to<T>(gradient * to_float(g[i])) * activation.slope;
    dg[i] = gradient * round_to<T>(activation.value);
  }
}

// One list for the three types.
#define MAYFLY_FOR_TYPE(T)                                                                       \
  template Error glu(T*, const T*, const T*, const GluForm&, Stream);                            \
  template Error glu_backward(T*, T*, T*, const T*, const T*, const T*, const GluForm&, Stream); \
  template void glu_reference(double*, const T*, const T*, const GluForm&);                      \
  template void glu_backward_reference(double*, double*, const T*, const T*, const T*,           \
                                       const GluForm&);
MAYFLY_FOR_TYPE(float)
MAYFLY_FOR_TYPE(Bf16)
MAYFLY_FOR_TYPE(Fp16)
#undef MAYFLY_FOR_TYPE

}  // namespace mayfly::cuda
