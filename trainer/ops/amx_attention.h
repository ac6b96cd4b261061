// The way back through causal attention of one document, for one key-value head and the query heads
// that share it, on the tile unit (amx_tiles.h).
//
//   p = exp(scale · q kᵀ - lse)     dv = pᵀ dout     ds = p (dout vᵀ - Σ dout out) scale
//   dq = ds k                       dk = dsᵀ q
//
// Worked transposed, keys down and queries across, so that the softmax's numbers of a query stand
// beside each other in a vector: 32 keys at a time against the queries that see them, nothing of
// the size T·T. Products take bfloat16 and add up in float32; p and ds are rounded to bfloat16
// before their products, as in every flash attention; dk and dv are added up over the query heads
// in float32 and rounded once.
//
// Measured on a Xeon core, SmolLM2-135M, documents of 150 to 256 tokens: docs/lab_notes.md.
// Source   Dao 2023, "FlashAttention-2", arXiv:2307.08691, section 3.1.2.
#pragma once

#include <cstddef>
#include <cstdint>

#include "trainer/ops/row_kernels.h"

namespace mayfly {

// One document's rows: a row begins `stride` elements after the one before.
template <class T>
struct HeadRows {
  T* data;
  std::int64_t stride;
  T* row(std::int64_t i) const {
    return data + i * stride;
  }
};

struct AmxAttentionTask {
  std::int64_t tokens, head_width, group;  // T, E (a multiple of 32), query heads a key-value head
  std::int64_t window;                     // 0: none
  float scale;
  HeadRows<const Bf16> q, out, dout;  // (T, E) of the group's first head; the next is E further
  HeadRows<const Bf16> k, v;          // (T, E)
  const float* normalizer;            // log Σ exp of query i, head h: [i · step + h · head_step]
  std::int64_t normalizer_step, normalizer_head_step;
  HeadRows<Bf16> dq, dk, dv;  // written, not added to
};

// Bytes of scratch, 64-byte aligned, for a task of so many tokens.
std::size_t amx_attention_scratch(std::int64_t tokens, std::int64_t head_width);
// REQUIRES: amx_ready().
void amx_attention_backward(const AmxAttentionTask& task, std::byte* scratch);

}  // namespace mayfly
