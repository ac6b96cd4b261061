// The inner loops of norm, rope, SwiGLU and loss on the CPU: one pass over memory each, where a
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

namespace mayfly {

// The bits of a bfloat16.
enum class Bf16 : std::uint16_t {};

namespace row_kernels {

// y = w · round(x · r), r = 1 / sqrt(mean(x²) + eps); see rms_norm.h.
void rms_norm(float* y, const float* x, const float* weight, std::int64_t rows, std::int64_t width,
              float eps);
void rms_norm(Bf16* y, const Bf16* x, const Bf16* weight, std::int64_t rows, std::int64_t width,
              float eps);
// dx += r · (w dy - x · r² · mean(w dy x)).
void rms_norm_backward(float* dx, const float* dy, const float* x, const float* weight,
                       std::int64_t rows, std::int64_t width, float eps);
void rms_norm_backward(Bf16* dx, const Bf16* dy, const Bf16* x, const Bf16* weight,
                       std::int64_t rows, std::int64_t width, float eps);

// h = round(silu(e)) · g.
void swiglu(float* h, const float* e, const float* g, std::int64_t count);
void swiglu(Bf16* h, const Bf16* e, const Bf16* g, std::int64_t count);
// e becomes de, g becomes dg, dh becomes h.
void swiglu_backward(float* e, float* g, float* dh, std::int64_t count);
void swiglu_backward(Bf16* e, Bf16* g, Bf16* dh, std::int64_t count);

// x (rows, heads, 2 · half) in place; cosine, sine (rows, half). `sign` -1: the opposite angle.
void rope(float* x, const float* cosine, const float* sine, std::int64_t rows, std::int64_t heads,
          std::int64_t half, float sign);
void rope(Bf16* x, const Bf16* cosine, const Bf16* sine, std::int64_t rows, std::int64_t heads,
          std::int64_t half, float sign);

// Returns logsumexp(row) - row[target].
double cross_entropy(const float* row, std::int64_t width, std::int64_t target);
double cross_entropy(const Bf16* row, std::int64_t width, std::int64_t target);
// The same, and row = scale · (softmax(row) - onehot(target)).
double cross_entropy_gradient(float* row, std::int64_t width, std::int64_t target, float scale);
double cross_entropy_gradient(Bf16* row, std::int64_t width, std::int64_t target, float scale);

}  // namespace row_kernels
}  // namespace mayfly
