// Rotary position embedding on queries and keys, in place and in one launch.
//
//   a' = a cos - b sin      b' = b cos + a sin      a = x[i], b = x[i + E/2] of a head of width E
//
// The gradient is the same with the opposite angle.
// Source   Su et al. 2021, arXiv:2104.09864, in the half-split form of transformers' Llama.
// Shapes   q (tokens, q_heads, E), k (tokens, k_heads, E), tokens q_stride and k_stride elements
//          apart, so that both may lie in one product's output; cosine, sine (positions, E/2);
//          positions (tokens), or null where token t has position t.
// Types    T: float, Bf16, Fp16, the tables too, as transformers casts them; arithmetic in float,
//          rounded once.
// Bytes    2 · sizeof(T) an element of q and k; a row of each table for a token.
// Paths    packs of 16 bytes where half a head is a multiple of them, of at most 128 packs, and
//          aligned; a thread then keeps its part of the tables for all heads. Else one pair at a
//          time.
// Errors   the launch's; kInvalidValue for an odd head width.
#pragma once

#include <cstdint>

#include "cuda/number.h"
#include "cuda/stream.h"

namespace mayfly::cuda {

struct RopeForm {
  std::int64_t tokens = 0;
  int q_heads = 1;
  int k_heads = 1;
  int width = 2;  // of a head
  std::int64_t q_stride = 2;
  std::int64_t k_stride = 2;
  bool backward = false;
};

template <class T>
struct RopeTables {
  const T* cosine = nullptr;
  const T* sine = nullptr;
  const std::int32_t* positions = nullptr;
};

template <class T>
Error rope(T* q, T* k, const RopeTables<T>& tables, const RopeForm& form, Stream stream);

// In double on the host: `to` (tokens, heads, width) from `from` of the same shape.
template <class T>
void rope_reference(double* to, const T* from, const RopeTables<T>& tables, int heads,
                    const RopeForm& form);

}  // namespace mayfly::cuda
