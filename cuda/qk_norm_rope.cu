#include <bit>

#include "cuda/convert.cuh"
#include "cuda/qk_norm_rope.h"
#include "cuda/reduce.cuh"

namespace mayfly::cuda {
namespace {

constexpr int kThreads = 128;

template <class T>
struct Call {
  QkPair<T> out;  // y, or dy that becomes dx
  QkPair<const T> x, weights;
  RopeTables<T> tables;
  QkNormForm form;
};

// One head of one token.
template <class T>
struct Head {
  T* out;
  const T* x;
  const T* weight;
};

template <class T>
__device__ inline Head<T> head_of(const Call<T>& call, std::int64_t token, int head) {
  const RopeForm& form = call.form.rope;
  if (head < form.q_heads) {
    const std::int64_t at = token * form.q_stride + head * form.width;
    return {call.out.q + at, call.x.q + at, call.weights.q};
  }
  const std::int64_t at = token * form.k_stride + (head - form.q_heads) * form.width;
  return {call.out.k + at, call.x.k + at, call.weights.k};
}

template <class T>
__device__ inline std::int64_t position_of(const RopeTables<T>& tables, std::int64_t token) {
  return tables.positions != nullptr ? load(tables.positions + token).at[0] : token;
}

// The norm's arithmetic for one element, as in rms_norm.cu.
template <class T>
__device__ inline float normed(float x, float scale, float weight, bool one_plus) {
  if (one_plus) return rounded<T>(x * scale * (1.0f + weight));
  return rounded<T>(weight * rounded<T>(x * scale));
}

template <class T>
__device__ inline float before_weight(float gradient, float weight, bool one_plus) {
  return one_plus ? (1.0f + weight) * gradient : rounded<T>(weight * gradient);
}

__device__ inline float inverse_rms(float sum_of_squares, const QkNormForm& form) {
  return rsqrtf(sum_of_squares / static_cast<float>(form.rope.width) + form.eps);
}

// Over the `lanes` neighbours that hold one head; a power of two. The whole warp must call it.
__device__ inline float sum_of_head(float value, int lanes) {
  for (int lane_mask = lanes / 2; lane_mask > 0; lane_mask /= 2) {
    value = __fadd_rn(value, __shfl_xor_sync(kWholeWarp, value, lane_mask));
  }
  return value;
}

// What a lane has of a head, in float: elements i.. and half + i.. .
template <int kPack>
struct Part {
  float a[kPack], b[kPack];
};

template <class T, int kPack>
__device__ inline Part<kPack> load_part(const T* head, int half, int i) {
  const Pack<T, kPack> a = load<kPack>(head + i);
  const Pack<T, kPack> b = load<kPack>(head + half + i);
  Part<kPack> part;
  for (int j = 0; j < kPack; ++j) {
    part.a[j] = widen(a.at[j]);
    part.b[j] = widen(b.at[j]);
  }
  return part;
}

template <class T, int kPack>
__device__ inline void store_part(T* head, int half, int i, const Part<kPack>& part) {
  Pack<T, kPack> a, b;
  for (int j = 0; j < kPack; ++j) {
    a.at[j] = narrow<T>(part.a[j]);
    b.at[j] = narrow<T>(part.b[j]);
  }
  store(head + i, a);
  store(head + half + i, b);
}

// Turns a part; `angle` holds the cosine in a, the sine in b.
template <int kPack>
__device__ inline Part<kPack> turned(const Part<kPack>& x, const Part<kPack>& angle, float sign) {
  Part<kPack> out;
  for (int j = 0; j < kPack; ++j) {
    const float s = sign * angle.b[j];
    out.a[j] = x.a[j] * angle.a[j] - x.b[j] * s;
    out.b[j] = x.b[j] * angle.a[j] + x.a[j] * s;
  }
  return out;
}

template <class T, int kPack>
__device__ inline Part<kPack> load_angle(const RopeTables<T>& tables, std::int64_t at) {
  const Pack<T, kPack> cosine = load<kPack>(tables.cosine + at);
  const Pack<T, kPack> sine = load<kPack>(tables.sine + at);
  Part<kPack> angle;
  for (int j = 0; j < kPack; ++j) {
    angle.a[j] = widen(cosine.at[j]);
    angle.b[j] = widen(sine.at[j]);
  }
  return angle;
}

template <class T, int kPack>
__device__ inline Part<kPack> normed_part(const Part<kPack>& x, const Part<kPack>& weight,
                                          float scale, bool one_plus) {
  Part<kPack> out;
  for (int j = 0; j < kPack; ++j) {
    out.a[j] = normed<T>(x.a[j], scale, weight.a[j], one_plus);
    out.b[j] = normed<T>(x.b[j], scale, weight.b[j], one_plus);
  }
  return out;
}

// The gradient of the norm's input but for the two sums: m of rms_norm.h.
template <class T, int kPack>
__device__ inline Part<kPack> before_weight_part(const Part<kPack>& gradient,
                                                 const Part<kPack>& weight, bool one_plus) {
  Part<kPack> m;
  for (int j = 0; j < kPack; ++j) {
    m.a[j] = before_weight<T>(rounded<T>(gradient.a[j]), weight.a[j], one_plus);
    m.b[j] = before_weight<T>(rounded<T>(gradient.b[j]), weight.b[j], one_plus);
  }
  return m;
}

template <int kPack>
__device__ inline float product(const Part<kPack>& x, const Part<kPack>& y) {
  float sum = 0.0f;
  for (int j = 0; j < kPack; ++j) sum += x.a[j] * y.a[j] + x.b[j] * y.b[j];
  return sum;
}

template <int kPack>
__device__ inline Part<kPack> through_norm(const Part<kPack>& m, const Part<kPack>& x, float scale,
                                           float back) {
  Part<kPack> out;
  for (int j = 0; j < kPack; ++j) {
    out.a[j] = scale * (m.a[j] - x.a[j] * back);
    out.b[j] = scale * (m.b[j] - x.b[j] * back);
  }
  return out;
}

// One block a token; `half / kPack` lanes a head.
template <class T, bool kBackward>
__global__ void __launch_bounds__(kThreads) packs_kernel(Call<T> call) {
  constexpr int kPack = kPackOf<T>;
  const RopeForm& form = call.form.rope;
  const std::int64_t token = blockIdx.x;
  const int thread = static_cast<int>(threadIdx.x);
  const int half = form.width / 2;
  const int lanes = half / kPack;
  const int i = thread % lanes * kPack;
  const int heads = form.q_heads + form.k_heads;
  const Part<kPack> angle =
      load_angle<T, kPack>(call.tables, position_of(call.tables, token) * half + i);
  const int together = kThreads / lanes;
  // As many rounds for every thread, so that whole warps come to the shuffles.
  for (int first = 0; first < heads; first += together) {
    const int index = first + thread / lanes;
    const bool exists = index < heads;
    Head<T> head{};
    Part<kPack> x{}, weight{}, m{};
    if (exists) {
      head = head_of(call, token, index);
      x = load_part<T, kPack>(head.x, half, i);
      weight = load_part<T, kPack>(head.weight, half, i);
      if constexpr (kBackward) {
        const Part<kPack> dy = load_part<T, kPack>(head.out, half, i);
        m = before_weight_part<T>(turned(dy, angle, -1.0f), weight, call.form.one_plus);
      }
    }
    const float scale = inverse_rms(sum_of_head(product(x, x), lanes), call.form);
    if constexpr (kBackward) {
      const float mean = sum_of_head(product(m, x), lanes) / static_cast<float>(form.width);
      if (exists) {
        store_part(head.out, half, i, through_norm(m, x, scale, scale * scale * mean));
      }
    } else if (exists) {
      const Part<kPack> y = normed_part<T>(x, weight, scale, call.form.one_plus);
      store_part(head.out, half, i, turned(y, angle, 1.0f));
    }
  }
}

// One block a token, a warp a head, any width and alignment.
template <class T, bool kBackward>
__global__ void __launch_bounds__(kThreads) any_kernel(Call<T> call) {
  const RopeForm& form = call.form.rope;
  const std::int64_t token = blockIdx.x;
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const int half = form.width / 2;
  const bool one_plus = call.form.one_plus;
  const std::int64_t angles = position_of(call.tables, token) * half;
  for (int index = static_cast<int>(threadIdx.x) / kWarp; index < form.q_heads + form.k_heads;
       index += kThreads / kWarp) {
    const Head<T> head = head_of(call, token, index);
    const auto m_at = [&](int i) {
      const Part<1> dy = load_part<T, 1>(head.out, half, i);
      const Part<1> angle = load_angle<T, 1>(call.tables, angles + i);
      return before_weight_part<T>(turned(dy, angle, -1.0f), load_part<T, 1>(head.weight, half, i),
                                   one_plus);
    };
    float squares = 0.0f;
    float products = 0.0f;
    for (int i = lane; i < half; i += kWarp) {
      const Part<1> x = load_part<T, 1>(head.x, half, i);
      squares += product(x, x);
      if constexpr (kBackward) products += product(m_at(i), x);
    }
    const float scale = inverse_rms(warp_sum(squares), call.form);
    const float mean = kBackward ? warp_sum(products) / static_cast<float>(form.width) : 0.0f;
    for (int i = lane; i < half; i += kWarp) {
      const Part<1> x = load_part<T, 1>(head.x, half, i);
      if constexpr (kBackward) {
        store_part(head.out, half, i, through_norm(m_at(i), x, scale, scale * scale * mean));
      } else {
        const Part<1> weight = load_part<T, 1>(head.weight, half, i);
        const Part<1> angle = load_angle<T, 1>(call.tables, angles + i);
        store_part(head.out, half, i,
                   turned(normed_part<T>(x, weight, scale, one_plus), angle, 1.0f));
      }
    }
  }
}

template <class T, bool kBackward>
Error start(const Call<T>& call, Stream stream) {
  const RopeForm& form = call.form.rope;
  if (form.width % 2 != 0) return kInvalidValue;
  if (form.tokens == 0) return kSuccess;
  constexpr int kPack = kPackOf<T>;
  const int half = form.width / 2;
  const int lanes = half / kPack;
  const bool packs = packs_fit<T>(half, call.out.q, call.out.k, call.x.q, call.x.k, call.weights.q,
                                  call.weights.k, call.tables.cosine, call.tables.sine) &&
                     form.q_stride % kPack == 0 && form.k_stride % kPack == 0 && lanes <= kWarp &&
                     std::has_single_bit(static_cast<unsigned>(lanes));
  const auto kernel = packs ? packs_kernel<T, kBackward> : any_kernel<T, kBackward>;
  return launch(kernel, form.tokens, kThreads, stream, call);
}

}  // namespace

template <class T>
Error qk_norm_rope(const QkPair<T>& y, const QkPair<const T>& x, const QkPair<const T>& weights,
                   const RopeTables<T>& tables, const QkNormForm& form, Stream stream) {
  return start<T, false>({y, x, weights, tables, form}, stream);
}

template <class T>
Error qk_norm_rope_backward(const QkPair<T>& gradient, const QkPair<const T>& x,
                            const QkPair<const T>& weights, const RopeTables<T>& tables,
                            const QkNormForm& form, Stream stream) {
  return start<T, true>({gradient, x, weights, tables, form}, stream);
}

// One list for the three types.
#define MAYFLY_FOR_TYPE(T)                                                                      \
  template Error qk_norm_rope(const QkPair<T>&, const QkPair<const T>&, const QkPair<const T>&, \
                              const RopeTables<T>&, const QkNormForm&, Stream);                 \
  template Error qk_norm_rope_backward(const QkPair<T>&, const QkPair<const T>&,                \
                                       const QkPair<const T>&, const RopeTables<T>&,            \
                                       const QkNormForm&, Stream);
MAYFLY_FOR_TYPE(float)
MAYFLY_FOR_TYPE(Bf16)
MAYFLY_FOR_TYPE(Fp16)
#undef MAYFLY_FOR_TYPE

}  // namespace mayfly::cuda
