// Compiled with -O3 and without errno and traps of the maths functions (trainer/CMakeLists.txt), so
// that the loops below become vector instructions. Sums are kept in kLanes independent lanes, since
// the compiler may not reorder a sum by itself.
#include "trainer/ops/row_kernels.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "trainer/ops/vector_code.h"

namespace mayfly {

namespace {

constexpr int kLanes = 32;

// e^x to 2 units of 2^-23 for x in [-87, 88]. Cody-Waite reduction and the polynomial of Cephes'
// expf (Moshier 1992), in operations that vectorise.
MAYFLY_INLINE float exponential_within(float x) {
  constexpr float kRounder = 12582912.0f;  // 1.5 · 2^23: adding it leaves a whole number
  const float shifted = x * 1.44269504f + kRounder;
  const float n = shifted - kRounder;
  const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  const auto power = std::bit_cast<std::int32_t>(shifted) << 23;  // n is in the lowest bits
  return std::bit_cast<float>(std::bit_cast<std::int32_t>(p) + power);
}

// Beyond, the value at the limit; NaN stays NaN.
MAYFLY_INLINE float exponential(float x) {
  return exponential_within(std::min(std::max(x, -87.0f), 88.0f));
}

// Of a NaN some number: who multiplies by x has it back. The limit is set on the bits, since of a
// comparison of floats the compiler makes three paths and walks them all.
MAYFLY_INLINE float sigmoid(float x) {
  constexpr std::uint32_t kSign = 0x80000000u;
  constexpr auto kMost = std::bit_cast<std::int32_t>(87.0f);
  const auto bits = std::bit_cast<std::uint32_t>(-x);
  const auto size = std::min(static_cast<std::int32_t>(bits & ~kSign), kMost);
  const auto within = static_cast<std::uint32_t>(size) | (bits & kSign);
  return 1.0f / (1.0f + exponential_within(std::bit_cast<float>(within)));
}

// Sum over i of term(i), in a fixed order.
template <class Term>
MAYFLY_INLINE float sum(std::int64_t count, const Term& term) {
  float lanes[kLanes] = {};
  std::int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (int lane = 0; lane < kLanes; ++lane) lanes[lane] += term(i + lane);
  }
  for (int lane = 0; i < count; ++i, ++lane) lanes[lane] += term(i);
  for (int width = kLanes / 2; width > 0; width /= 2) {
    for (int lane = 0; lane < width; ++lane) lanes[lane] += lanes[lane + width];
  }
  return lanes[0];
}

template <class T>
MAYFLY_INLINE float largest(const T* x, std::int64_t count) {
  float lanes[kLanes];
  std::fill(lanes, lanes + kLanes, load(x[0]));
  std::int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (int lane = 0; lane < kLanes; ++lane) {
      const float value = load(x[i + lane]);
      lanes[lane] = value > lanes[lane] ? value : lanes[lane];
    }
  }
  for (; i < count; ++i) lanes[0] = std::max(lanes[0], load(x[i]));
  return *std::max_element(lanes, lanes + kLanes);
}

template <class T>
MAYFLY_INLINE float inverse_rms(const T* x, std::int64_t width, float eps) {
  const float squares = sum(width, [x](std::int64_t i) { return load(x[i]) * load(x[i]); });
  return 1.0f / std::sqrt(squares / static_cast<float>(width) + eps);
}

template <class T>
MAYFLY_INLINE void norm_rows(T* __restrict y, const T* __restrict x, const T* __restrict weight,
                             const row_kernels::NormRows& form) {
  const std::int64_t width = form.width;
  for (std::int64_t row = 0; row < form.rows; ++row, x += width, y += width) {
    const float r = inverse_rms(x, width, form.eps);
    if (form.one_plus) {
      for (std::int64_t i = 0; i < width; ++i) {
        y[i] = rounded<T>(load(x[i]) * r * (1.0f + load(weight[i])));
      }
    } else {
      for (std::int64_t i = 0; i < width; ++i) {
        y[i] = rounded<T>(load(weight[i]) * load(rounded<T>(load(x[i]) * r)));
      }
    }
  }
}

template <class T>
MAYFLY_INLINE void norm_backward_rows(T* __restrict dx, const T* __restrict dy,
                                      const T* __restrict x, const T* __restrict weight,
                                      const row_kernels::NormRows& form) {
  const std::int64_t width = form.width;
  const float more = form.one_plus ? 1.0f : 0.0f;
  for (std::int64_t row = 0; row < form.rows; ++row, x += width, dy += width, dx += width) {
    const float r = inverse_rms(x, width, form.eps);
    const float dot = sum(
        width, [&](std::int64_t i) { return (more + load(weight[i])) * load(dy[i]) * load(x[i]); });
    const float pull = dot / static_cast<float>(width) * r * r;
    for (std::int64_t i = 0; i < width; ++i) {
      const float slope = r * ((more + load(weight[i])) * load(dy[i]) - load(x[i]) * pull);
      dx[i] = rounded<T>(load(dx[i]) + slope);
    }
  }
}

// Both activations are e · σ(inner(e)); `slope` is inner's.
struct Silu {
  MAYFLY_INLINE static float inner(float e) {
    return e;
  }
  MAYFLY_INLINE static float slope(float /*e*/) {
    return 1.0f;
  }
};
struct GeluTanh {
  static constexpr float kLinear = 1.5957691216f;  // 2 sqrt(2 / π)
  static constexpr float kCubic = kLinear * 0.044715f;
  MAYFLY_INLINE static float inner(float e) {
    return e * (kLinear + kCubic * e * e);
  }
  MAYFLY_INLINE static float slope(float e) {
    return kLinear + 3.0f * kCubic * e * e;
  }
};

template <class Inner, class T>
MAYFLY_INLINE void glu_range(T* __restrict h, const T* __restrict e, const T* __restrict g,
                             std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) {
    const float gate = load(e[i]);
    h[i] = rounded<T>(load(rounded<T>(gate * sigmoid(Inner::inner(gate)))) * load(g[i]));
  }
}

template <class Inner, class T>
MAYFLY_INLINE void glu_backward_range(T* __restrict e, T* __restrict g, T* __restrict dh,
                                      std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) {
    const float gate = load(e[i]), up = load(g[i]), slope = load(dh[i]);
    const float s = sigmoid(Inner::inner(gate));
    dh[i] = rounded<T>(load(rounded<T>(gate * s)) * up);
    g[i] = rounded<T>(slope * gate * s);
    e[i] = rounded<T>(slope * up * s * (1.0f + gate * Inner::slope(gate) * (1.0f - s)));
  }
}

template <class T>
MAYFLY_INLINE void glu_any(T* h, const T* e, const T* g, std::int64_t count,
                           GateActivation activation) {
  if (activation == GateActivation::silu) {
    glu_range<Silu>(h, e, g, count);
  } else {
    glu_range<GeluTanh>(h, e, g, count);
  }
}

template <class T>
MAYFLY_INLINE void glu_backward_any(T* e, T* g, T* dh, std::int64_t count,
                                    GateActivation activation) {
  if (activation == GateActivation::silu) {
    glu_backward_range<Silu>(e, g, dh, count);
  } else {
    glu_backward_range<GeluTanh>(e, g, dh, count);
  }
}

template <class T>
MAYFLY_INLINE void rope_rows(T* __restrict x, const T* __restrict cosine, const T* __restrict sine,
                             std::int64_t rows, const row_kernels::RopeRows& form) {
  const std::int64_t half = form.half;
  const float sign = form.sign;
  for (; rows > 0; --rows, cosine += half, sine += half) {
    for (std::int64_t head = 0; head < form.heads; ++head, x += form.width) {
      T* __restrict const second = x + half;
      for (std::int64_t i = 0; i < half; ++i) {
        const float a = load(x[i]), b = load(second[i]);
        const float c = load(cosine[i]), s = sign * load(sine[i]);
        x[i] = rounded<T>(a * c - b * s);
        second[i] = rounded<T>(b * c + a * s);
      }
    }
  }
}

struct Normalizer {
  float top;    // the largest logit
  float total;  // sum of exp(logit - top)
};

template <class T>
MAYFLY_INLINE Normalizer normalizer(const T* row, std::int64_t width) {
  const float top = largest(row, width);
  return {top, sum(width, [row, top](std::int64_t i) { return exponential(load(row[i]) - top); })};
}

template <class T>
MAYFLY_INLINE double row_loss(const T* row, std::int64_t target, const Normalizer& n) {
  return std::log(static_cast<double>(n.total)) + static_cast<double>(n.top) -
         static_cast<double>(load(row[target]));
}

template <class T>
MAYFLY_INLINE double loss_and_gradient(T* __restrict row, std::int64_t width, std::int64_t target,
                                       const row_kernels::RowGradient& form) {
  const Normalizer n = normalizer(row, width);
  const double loss = row_loss(row, target, n);  // before the row is overwritten
  const float share = form.soft_cap > 0 ? 1.0f / form.soft_cap : 0.0f;
  // Of the cap where the row has the value v: 1 without one, exactly.
  const auto slope = [share](float v) { return 1.0f - (v * share) * (v * share); };
  const float right = load(row[target]);
  const float at_target = form.scale * (exponential(right - n.top) / n.total - 1.0f) * slope(right);
  const float factor = form.scale / n.total;
  for (std::int64_t i = 0; i < width; ++i) {
    const float v = load(row[i]);
    row[i] = rounded<T>(factor * exponential(v - n.top) * slope(v));
  }
  row[target] = rounded<T>(at_target);
  return loss;
}

}  // namespace

namespace row_kernels {

MAYFLY_CLONES void rms_norm(float* y, const float* x, const float* weight, const NormRows& form) {
  norm_rows(y, x, weight, form);
}
MAYFLY_CLONES void rms_norm(Bf16* y, const Bf16* x, const Bf16* weight, const NormRows& form) {
  norm_rows(y, x, weight, form);
}

MAYFLY_CLONES void rms_norm_backward(float* dx, const float* dy, const float* x,
                                     const float* weight, const NormRows& form) {
  norm_backward_rows(dx, dy, x, weight, form);
}
MAYFLY_CLONES void rms_norm_backward(Bf16* dx, const Bf16* dy, const Bf16* x, const Bf16* weight,
                                     const NormRows& form) {
  norm_backward_rows(dx, dy, x, weight, form);
}

MAYFLY_CLONES void glu(float* h, const float* e, const float* g, std::int64_t count,
                       GateActivation activation) {
  glu_any(h, e, g, count, activation);
}
MAYFLY_CLONES void glu(Bf16* h, const Bf16* e, const Bf16* g, std::int64_t count,
                       GateActivation activation) {
  glu_any(h, e, g, count, activation);
}

MAYFLY_CLONES void glu_backward(float* e, float* g, float* dh, std::int64_t count,
                                GateActivation activation) {
  glu_backward_any(e, g, dh, count, activation);
}
MAYFLY_CLONES void glu_backward(Bf16* e, Bf16* g, Bf16* dh, std::int64_t count,
                                GateActivation activation) {
  glu_backward_any(e, g, dh, count, activation);
}

MAYFLY_CLONES void rope(float* x, const float* cosine, const float* sine, std::int64_t rows,
                        const RopeRows& form) {
  rope_rows(x, cosine, sine, rows, form);
}
MAYFLY_CLONES void rope(Bf16* x, const Bf16* cosine, const Bf16* sine, std::int64_t rows,
                        const RopeRows& form) {
  rope_rows(x, cosine, sine, rows, form);
}

MAYFLY_CLONES double cross_entropy(const float* row, std::int64_t width, std::int64_t target) {
  return row_loss(row, target, normalizer(row, width));
}
MAYFLY_CLONES double cross_entropy(const Bf16* row, std::int64_t width, std::int64_t target) {
  return row_loss(row, target, normalizer(row, width));
}

MAYFLY_CLONES double cross_entropy_gradient(float* row, std::int64_t width, std::int64_t target,
                                            const RowGradient& form) {
  return loss_and_gradient(row, width, target, form);
}
MAYFLY_CLONES double cross_entropy_gradient(Bf16* row, std::int64_t width, std::int64_t target,
                                            const RowGradient& form) {
  return loss_and_gradient(row, width, target, form);
}

}  // namespace row_kernels
}  // namespace mayfly
