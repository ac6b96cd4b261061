// RMSNorm over each head of queries and keys, then the rotation of rope.h, in one launch (Qwen3,
// Gemma 3), and its gradient.
//
//   n = the norm of rms_norm.h over a head's E elements, with the weight of queries or of keys
//   y = the rotation of round(n)
//   backward: g = round(dy turned back), then the norm's gradient of g
//
// Source   transformers' Qwen3Attention (q_norm, k_norm before apply_rotary_pos_emb) and Gemma3's.
// Shapes   q, y_q, dy_q (tokens, q_heads, E), k, y_k, dy_k (tokens, k_heads, E), tokens the form's
//          strides apart in all of them; weights (E), frozen; tables as in rope.h.
// Types    T: float, Bf16, Fp16; sums in float.
// Bytes    forward 2 · sizeof(T) an element, backward 3; a row of each table for a token.
// Paths    packs of 16 bytes where half a head is 1, 2, 4 ... 32 of them and aligned: a head lies
// in
//          the registers of as many lanes. Else a warp a head, one pair at a time, read twice.
// Errors   the launch's; kInvalidValue for an odd head width.
// Its reference is the norm's followed by the rotation's.
#pragma once

#include "cuda/rope.h"

namespace mayfly::cuda {

struct QkNormForm {
  RopeForm rope;
  float eps = 1e-6f;
  bool one_plus = false;  // Gemma
};

template <class T>
struct QkPair {
  T* q = nullptr;
  T* k = nullptr;
};

// `y` may be `x` where x is needed no more.
template <class T>
Error qk_norm_rope(const QkPair<T>& y, const QkPair<const T>& x, const QkPair<const T>& weights,
                   const RopeTables<T>& tables, const QkNormForm& form, Stream stream);

// `gradient` comes in as dy and leaves as dx.
template <class T>
Error qk_norm_rope_backward(const QkPair<T>& gradient, const QkPair<const T>& x,
                            const QkPair<const T>& weights, const RopeTables<T>& tables,
                            const QkNormForm& form, Stream stream);

}  // namespace mayfly::cuda
