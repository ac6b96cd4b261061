// The inner loops of norm, rope, gated unit and loss on the CPU: one pass over memory each, where a
// chain of libtorch's ops makes five to ten. Raw pointers, no threads, no tensors; the ops split
// the rows among threads and take other types and devices through libtorch.
//
// Each loop is compiled for AVX-512, AVX2 and any x86-64 and chosen when the program starts
// (function multi-versioning); on one machine the same input gives the same bits.
// Measured on a Xeon core with AMX, SmolLM2-135M in bf16: 330 tokens trained a CPU second, 261
// without them; 174 and 165 in float32, where the products take most of the time.
//
// Arithmetic is float32; rounding to Bf16 is to nearest, ties to even.
#pragma once

#include <cstdint>

#include "trainer/ops/gate_activation.h"

namespace mayfly {

// The bits of a bfloat16.
enum class Bf16 : std::uint16_t {};

namespace row_kernels {

struct NormRows {
  std::int64_t rows, width;
  float eps;
  bool one_plus;  // multiply by 1 + weight
};
// y = w · round(x · r), r = 1 / sqrt(mean(x²) + eps), or round(x · r (1 + w)); see rms_norm.h.
void rms_norm(float* y, const float* x, const float* weight, const NormRows& form);
void rms_norm(Bf16* y, const Bf16* x, const Bf16* weight, const NormRows& form);
// dx += r · (w dy - x · r² · mean(w dy x)).
void rms_norm_backward(float* dx, const float* dy, const float* x, const float* weight,
                       const NormRows& form);
void rms_norm_backward(Bf16* dx, const Bf16* dy, const Bf16* x, const Bf16* weight,
                       const NormRows& form);

// h = round(activation(e)) · g.
void glu(float* h, const float* e, const float* g, std::int64_t count, GateActivation activation);
void glu(Bf16* h, const Bf16* e, const Bf16* g, std::int64_t count, GateActivation activation);
// e becomes de, g becomes dg, dh becomes h.
void glu_backward(float* e, float* g, float* dh, std::int64_t count, GateActivation activation);
void glu_backward(Bf16* e, Bf16* g, Bf16* dh, std::int64_t count, GateActivation activation);

// x (rows, heads, width) in place, of which the first 2 · half of a head; cosine, sine (rows,
// half).
struct RopeRows {
  std::int64_t heads;
  std::int64_t width;
  std::int64_t half;
  float sign;  // -1: the opposite angle
};
void rope(float* x, const float* cosine, const float* sine, std::int64_t rows,
          const RopeRows& form);
void rope(Bf16* x, const Bf16* cosine, const Bf16* sine, std::int64_t rows, const RopeRows& form);

// Returns logsumexp(row) - row[target].
double cross_entropy(const float* row, std::int64_t width, std::int64_t target);
double cross_entropy(const Bf16* row, std::int64_t width, std::int64_t target);
struct RowGradient {
  float scale;
  float soft_cap;  // the row is capped already: c · tanh(x / c); 0: it is not
};
// The same, and row = scale · (softmax(row) - onehot(target)), times 1 - (row / c)² with a soft
// cap.
double cross_entropy_gradient(float* row, std::int64_t width, std::int64_t target,
                              const RowGradient& form);
double cross_entropy_gradient(Bf16* row, std::int64_t width, std::int64_t target,
                              const RowGradient& form);

}  // namespace row_kernels
}  // namespace mayfly
