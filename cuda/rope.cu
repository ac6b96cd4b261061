#include "cuda/convert.cuh"
#include "cuda/rope.h"

namespace mayfly::cuda {
namespace {

constexpr int kThreads = 128;

// The two halves of a vector, turned.
template <class T, int kPack>
struct Halves {
  Pack<T, kPack> a, b;
};

template <class T, int kPack>
__device__ inline Halves<T, kPack> turned(const Halves<T, kPack>& x, const Pack<T, kPack>& cosine,
                                          const Pack<T, kPack>& sine, float sign) {
  Halves<T, kPack> out;
  for (int i = 0; i < kPack; ++i) {
    const float c = widen(cosine.at[i]);
    const float s = sign * widen(sine.at[i]);
    const float a = widen(x.a.at[i]);
    const float b = widen(x.b.at[i]);
    out.a.at[i] = narrow<T>(a * c - b * s);
    out.b.at[i] = narrow<T>(b * c + a * s);
  }
  return out;
}

template <class T, int kPack>
__device__ inline void turn_head(T* head, int half, int i, const Pack<T, kPack>& cosine,
                                 const Pack<T, kPack>& sine, float sign) {
  const Halves<T, kPack> x{load<kPack>(head + i), load<kPack>(head + half + i)};
  const Halves<T, kPack> out = turned(x, cosine, sine, sign);
  store(head + i, out.a);
  store(head + half + i, out.b);
}

// One block a token. With packs, a thread has one place in a head and goes from head to head;
// without, it goes over all pairs of all heads.
template <class T, int kPack>
__global__ void __launch_bounds__(kThreads)
    rope_kernel(T* q, T* k, RopeTables<T> tables, RopeForm form) {
  const std::int64_t token = blockIdx.x;
  const int thread = static_cast<int>(threadIdx.x);
  const int half = form.width / 2;
  const int heads = form.q_heads + form.k_heads;
  const float sign = form.backward ? -1.0f : 1.0f;
  const std::int64_t position =
      tables.positions != nullptr ? load(tables.positions + token).at[0] : token;
  const T* const cosine = tables.cosine + position * half;
  const T* const sine = tables.sine + position * half;
  T* const q_token = q + token * form.q_stride;
  T* const k_token = k + token * form.k_stride;
  const auto head_at = [&](int head) {
    return head < form.q_heads ? q_token + head * form.width
                               : k_token + (head - form.q_heads) * form.width;
  };

  if constexpr (kPack > 1) {
    const int places = half / kPack;
    const int together = kThreads / places;  // heads that the block turns at once
    const int i = thread % places * kPack;
    if (thread >= together * places) return;
    const Pack<T, kPack> c = load<kPack>(cosine + i);
    const Pack<T, kPack> s = load<kPack>(sine + i);
    for (int head = thread / places; head < heads; head += together) {
      turn_head<T, kPack>(head_at(head), half, i, c, s, sign);
    }
  } else {
    for (int pair = thread; pair < heads * half; pair += kThreads) {
      const int i = pair % half;
      turn_head<T, 1>(head_at(pair / half), half, i, load(cosine + i), load(sine + i), sign);
    }
  }
}

}  // namespace

template <class T>
Error rope(T* q, T* k, const RopeTables<T>& tables, const RopeForm& form, Stream stream) {
  if (form.width % 2 != 0) return kInvalidValue;
  if (form.tokens == 0) return kSuccess;
  constexpr int kPack = kPackOf<T>;
  const int half = form.width / 2;
  const bool packs = packs_fit<T>(half, q, k, tables.cosine, tables.sine) &&
                     form.q_stride % kPack == 0 && form.k_stride % kPack == 0 &&
                     half / kPack <= kThreads;
  const auto kernel = packs ? rope_kernel<T, kPack> : rope_kernel<T, 1>;
  return launch(kernel, form.tokens, kThreads, stream, q, k, tables, form);
}

template <class T>
void rope_reference(double* to, const T* from, const RopeTables<T>& tables, int heads,
                    const RopeForm& form) {
  const int half = form.width / 2;
  for (std::int64_t token = 0; token < form.tokens; ++token) {
    const std::int64_t position = tables.positions != nullptr ? tables.positions[token] : token;
    for (int head = 0; head < heads; ++head) {
      const std::int64_t at = (token * heads + head) * form.width;
      for (int i = 0; i < half; ++i) {
        const double c = to_float(tables.cosine[position * half + i]);
        const double s = (form.backward ? -1.0 : 1.0) * to_float(tables.sine[position * half + i]);
        const double a = to_float(from[at + i]), b = to_float(from[at + half + i]);
        to[at + i] = a * c - b * s;
        to[at + half + i] = b * c + a * s;
      }
    }
  }
}

// One list for the three types.
#define MAYFLY_FOR_TYPE(T)                                                    \
  template Error rope(T*, T*, const RopeTables<T>&, const RopeForm&, Stream); \
  template void rope_reference(double*, const T*, const RopeTables<T>&, int, const RopeForm&);
MAYFLY_FOR_TYPE(float)
MAYFLY_FOR_TYPE(Bf16)
MAYFLY_FOR_TYPE(Fp16)
#undef MAYFLY_FOR_TYPE

}  // namespace mayfly::cuda
