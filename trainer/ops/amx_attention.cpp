// Compiled with -O3, as row_kernels.cpp is.
#include "trainer/ops/amx_attention.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cstring>

#include "trainer/ops/amx_tiles.h"

#if MAYFLY_HAS_AMX

#include <sys/syscall.h>
#include <unistd.h>

namespace mayfly {

namespace {

constexpr std::int64_t kEdge = kTileEdge;

std::int64_t padded(std::int64_t tokens) {
  return (tokens + kEdge - 1) / kEdge * kEdge;
}

std::uint16_t bits(Bf16 value) {
  return static_cast<std::uint16_t>(value);
}

// What a task works in; T here is a multiple of 32, rows past the document are zero.
struct Scratch {
  std::uint16_t *k, *v;                   // (T, E)
  std::uint16_t* k_across;                // (E, T)
  std::uint32_t *q_across, *dout_across;  // (E, T) in pairs: right factors of depth E
  std::uint32_t *q_down, *dout_down;      // (T, E) in pairs: right factors of depth T
  std::uint16_t *p, *ds;                  // (32, T): of the keys at hand
  std::uint32_t* ds_pairs;                // (32, T) in pairs
  float *dk, *dv;                         // (T, E)
  float* dq_across;                       // (E, T)
  float *lse, *delta;                     // (T)
  float *s, *dp;                          // (32, 32)
  std::size_t bytes;
};

Scratch laid_out(std::byte* memory, std::int64_t tokens, std::int64_t width) {
  Scratch result;
  std::size_t used = 0;
  const auto take = [&]<class T>(T*& pointer, std::int64_t count) {
    pointer = reinterpret_cast<T*>(memory + used);
    used += (static_cast<std::size_t>(count) * sizeof(T) + 63) / 64 * 64;
  };
  const std::int64_t whole = tokens * width;
  for (auto** const x : {&result.k, &result.v, &result.k_across}) take(*x, whole);
  for (auto** const x : {&result.q_across, &result.dout_across, &result.q_down, &result.dout_down})
    take(*x, whole / 2);
  for (auto** const x : {&result.p, &result.ds}) take(*x, kEdge * tokens);
  take(result.ds_pairs, kEdge / 2 * tokens);
  for (auto** const x : {&result.dk, &result.dv, &result.dq_across}) take(*x, whole);
  for (auto** const x : {&result.lse, &result.delta}) take(*x, tokens);
  for (auto** const x : {&result.s, &result.dp}) take(*x, kEdge * kEdge);
  result.bytes = used;
  return result;
}

// The bits of row i, or zeros past the document.
void copy_row(std::uint16_t* to, HeadRows<const Bf16> from, std::int64_t i,
              const AmxAttentionTask& task) {
  const auto bytes = static_cast<std::size_t>(task.head_width) * sizeof(Bf16);
  if (i < task.tokens) {
    std::memcpy(to, from.row(i), bytes);
  } else {
    std::memset(to, 0, bytes);
  }
}

// Keys and values once for the group, and sums at zero.
void lay_keys(const AmxAttentionTask& task, const Scratch& s, std::int64_t length) {
  const std::int64_t width = task.head_width;
  for (std::int64_t j = 0; j < length; ++j) {
    copy_row(s.k + j * width, task.k, j, task);
    copy_row(s.v + j * width, task.v, j, task);
    for (std::int64_t e = 0; e < width; ++e) s.k_across[e * length + j] = s.k[j * width + e];
  }
  std::fill_n(s.dk, length * width, 0.0f);
  std::fill_n(s.dv, length * width, 0.0f);
}

// Two rows of x beside each other, in both forms of a right factor.
void lay_pair(std::uint32_t* across, std::uint32_t* down, const std::uint16_t* two,
              std::int64_t width, std::int64_t length) {
  for (std::int64_t e = 0; e < width; ++e) {
    down[e] = two[e] | static_cast<std::uint32_t>(two[width + e]) << 16;
  }
  std::uint64_t both;
  for (std::int64_t e = 0; e < width / 2; ++e) {
    const auto first =
        static_cast<std::uint64_t>(two[2 * e]) | static_cast<std::uint64_t>(two[2 * e + 1]) << 16;
    const auto second = static_cast<std::uint64_t>(two[width + 2 * e]) |
                        static_cast<std::uint64_t>(two[width + 2 * e + 1]) << 16;
    both = first | second << 32;
    std::memcpy(across + e * length, &both, sizeof both);
  }
}

float row_product(const Bf16* a, const Bf16* b, std::int64_t width) {
  constexpr int kLanes = 16;
  float lanes[kLanes] = {};
  const auto value = [](Bf16 x) {
    return std::bit_cast<float>(static_cast<std::uint32_t>(bits(x)) << 16);
  };
  for (std::int64_t e = 0; e < width; e += kLanes) {
    for (int lane = 0; lane < kLanes; ++lane)
      lanes[lane] += value(a[e + lane]) * value(b[e + lane]);
  }
  float sum = 0;
  for (const float lane : lanes) sum += lane;
  return sum;
}

// Queries and gradients of query head `head` of the group.
void lay_queries(const AmxAttentionTask& task, const Scratch& s, std::int64_t head,
                 std::int64_t length) {
  const std::int64_t width = task.head_width;
  const auto of_head = [&](HeadRows<const Bf16> rows) {
    return HeadRows<const Bf16>{rows.data + head * width, rows.stride};
  };
  const auto q = of_head(task.q), out = of_head(task.out), dout = of_head(task.dout);
  std::uint16_t two[2 * 256];
  for (std::int64_t i = 0; i < length; i += 2) {
    copy_row(two, q, i, task);
    copy_row(two + width, q, i + 1, task);
    lay_pair(s.q_across + i, s.q_down + i / 2 * width, two, width, length);
    copy_row(two, dout, i, task);
    copy_row(two + width, dout, i + 1, task);
    lay_pair(s.dout_across + i, s.dout_down + i / 2 * width, two, width, length);
  }
  for (std::int64_t i = 0; i < length; ++i) {
    const bool inside = i < task.tokens;
    // A query past the document gives every key e^-1e30 = 0.
    s.lse[i] = inside ? task.normalizer[i * task.normalizer_step + head * task.normalizer_head_step]
                      : 1e30f;
    s.delta[i] = inside ? row_product(out.row(i), dout.row(i), width) : 0.0f;
  }
  std::fill_n(s.dq_across, length * width, 0.0f);
}

// e^x for x <= 0, as in row_kernels.cpp; 0 below -87.
MAYFLY_AMX inline __m512 exponential16(__m512 x) {
  const __mmask16 counts = _mm512_cmp_ps_mask(x, _mm512_set1_ps(-87.0f), _CMP_GE_OQ);
  const __m512 n = _mm512_roundscale_ps(_mm512_mul_ps(x, _mm512_set1_ps(1.44269504f)),
                                        _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  __m512 r = _mm512_fnmadd_ps(n, _mm512_set1_ps(0.693359375f), x);
  r = _mm512_fnmadd_ps(n, _mm512_set1_ps(-2.12194440e-4f), r);
  __m512 p = _mm512_set1_ps(1.9875691500e-4f);
  for (const float c : {1.3981999507e-3f, 8.3334519073e-3f, 4.1665795894e-2f, 1.6666665459e-1f,
                        5.0000001201e-1f, 1.0f, 1.0f}) {
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(c));
  }
  return _mm512_maskz_scalef_ps(counts, p, n);
}

// Rounded to bfloat16, in the low halves of sixteen words.
MAYFLY_AMX inline __m512i low_halves(__m512 x) {
  return _mm512_cvtepu16_epi32(reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(x)));
}

// One tile of p and ds: keys from j0, queries from i0.
struct TilePlace {
  std::int64_t j0, i0, length;
};
MAYFLY_AMX inline void soften(const AmxAttentionTask& task, const Scratch& s, TilePlace place) {
  const std::int64_t window = task.window > 0 ? task.window : place.length;
  const bool whole = place.i0 >= place.j0 + kEdge - 1 && place.i0 + kEdge - place.j0 <= window;
  const __m512i steps = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  const __m512 scale = _mm512_set1_ps(task.scale);
  for (std::int64_t half = 0; half < kEdge; half += 16) {
    const std::int64_t i = place.i0 + half;
    const __m512 lse = _mm512_loadu_ps(s.lse + i), delta = _mm512_loadu_ps(s.delta + i);
    __m512i pair = _mm512_setzero_si512();
    for (std::int64_t row = 0; row < kEdge; ++row) {
      // Query i + lane is so many tokens after the key: 0 to window - 1 are seen.
      const auto after = static_cast<int>(i - place.j0 - row);
      const __m512i ages = _mm512_add_epi32(steps, _mm512_set1_epi32(after));
      const __mmask16 seen =
          whole ? static_cast<__mmask16>(0xffff)
                : _mm512_cmplt_epu32_mask(ages, _mm512_set1_epi32(static_cast<int>(window)));
      const __m512 score = _mm512_loadu_ps(s.s + row * kEdge + half);
      const __m512 p = _mm512_maskz_mov_ps(seen, exponential16(_mm512_fmsub_ps(score, scale, lse)));
      const __m512 dp = _mm512_loadu_ps(s.dp + row * kEdge + half);
      const __m512 ds = _mm512_mul_ps(_mm512_mul_ps(p, scale), _mm512_sub_ps(dp, delta));
      const __m512i ds_bits = low_halves(ds);
      const std::int64_t at = row * place.length + i;
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(s.p + at),
                          reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(p)));
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(s.ds + at), _mm512_cvtepi32_epi16(ds_bits));
      if (row % 2 == 0) {
        pair = ds_bits;
      } else {
        _mm512_storeu_si512(s.ds_pairs + row / 2 * place.length + i,
                            _mm512_or_si512(pair, _mm512_slli_epi32(ds_bits, 16)));
      }
    }
  }
}

// Keys j0 to j0 + 31 against the queries that see them.
MAYFLY_AMX void key_block(const AmxAttentionTask& task, const Scratch& s, std::int64_t j0,
                          std::int64_t length) {
  const std::int64_t width = task.head_width;
  const std::int64_t last =
      task.window > 0 ? std::min(length, padded(j0 + kEdge + task.window - 1)) : length;
  for (std::int64_t i0 = j0; i0 < last; i0 += kEdge) {
    std::fill_n(s.s, kEdge * kEdge, 0.0f);
    std::fill_n(s.dp, kEdge * kEdge, 0.0f);
    multiply_tile({s.s, kEdge}, {s.k + j0 * width, width}, {s.q_across + i0, length}, width);
    multiply_tile({s.dp, kEdge}, {s.v + j0 * width, width}, {s.dout_across + i0, length}, width);
    soften(task, s, {j0, i0, length});
  }
  for (std::int64_t e = 0; e < width; e += kEdge) {
    const std::int64_t queries = last - j0;
    multiply_tile({s.dv + j0 * width + e, width}, {s.p + j0, length},
                  {s.dout_down + j0 / 2 * width + e, width}, queries);
    multiply_tile({s.dk + j0 * width + e, width}, {s.ds + j0, length},
                  {s.q_down + j0 / 2 * width + e, width}, queries);
    for (std::int64_t i0 = j0; i0 < last; i0 += kEdge) {
      multiply_tile({s.dq_across + e * length + i0, length}, {s.k_across + e * length + j0, length},
                    {s.ds_pairs + i0, length}, kEdge);
    }
  }
}

// Rounds sums to rows of the document; element (i, e) is at [i · row_step + e · step].
MAYFLY_AMX void round_rows(HeadRows<Bf16> to, const float* sums, std::int64_t tokens,
                           std::int64_t width, std::int64_t row_step, std::int64_t step) {
  for (std::int64_t i = 0; i < tokens; ++i) {
    for (std::int64_t e = 0; e < width; ++e) {
      const auto value = std::bit_cast<std::uint32_t>(sums[i * row_step + e * step]);
      to.row(i)[e] = static_cast<Bf16>((value + 0x7fffu + ((value >> 16) & 1u)) >> 16);
    }
  }
}

// Asks the kernel once; the answer holds for all threads of the process.
bool ask_for_tiles() {
  constexpr long kRequestPermission = 0x1023, kTileData = 18;
  return __builtin_cpu_supports("amx-bf16") && __builtin_cpu_supports("avx512bf16") &&
         ::syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

}  // namespace

bool amx_ready() {
  static const bool ready = ask_for_tiles();
  return ready;
}

std::size_t amx_attention_scratch(std::int64_t tokens, std::int64_t head_width) {
  return laid_out(nullptr, padded(tokens), head_width).bytes;
}

void amx_attention_backward(const AmxAttentionTask& task, std::byte* scratch) {
  const std::int64_t width = task.head_width, length = padded(task.tokens);
  assert(width % kEdge == 0 && width <= 256);
  const Scratch s = laid_out(scratch, length, width);
  lay_keys(task, s, length);
  amx_configure();
  for (std::int64_t head = 0; head < task.group; ++head) {
    lay_queries(task, s, head, length);
    for (std::int64_t j0 = 0; j0 < length; j0 += kEdge) key_block(task, s, j0, length);
    round_rows({task.dq.data + head * width, task.dq.stride}, s.dq_across, task.tokens, width, 1,
               length);
  }
  amx_release();
  round_rows(task.dk, s.dk, task.tokens, width, width, 1);
  round_rows(task.dv, s.dv, task.tokens, width, width, 1);
}

}  // namespace mayfly

#else

namespace mayfly {

bool amx_ready() {
  return false;
}
std::size_t amx_attention_scratch(std::int64_t, std::int64_t) {
  return 0;
}
void amx_attention_backward(const AmxAttentionTask&, std::byte*) {
  assert(false);
}

}  // namespace mayfly

#endif
