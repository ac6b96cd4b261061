// The gated unit between a feed-forward layer's products, and its gradient.
//
//   f = round(act(e))        h = f · g            act: SiLU, e σ(e)      (SwiGLU: Llama, Qwen)
//                                                 or GELU by tanh        (GeGLU: Gemma)
//   df = round(dh · g)       dg = dh · f          de = df · act'(e)
//
// Source   Shazeer 2020, arXiv:2002.05202; roundings as transformers' and autograd's. Nothing of
// the
//          forward pass is kept but e and g: the backward pass makes f again, and h where asked.
// Shapes   e, g (rows, cols), rows `stride` apart, so that both may be halves of one product's
//          output; de, dg likewise; h, dh (rows, cols), contiguous.
// Types    T: float, Bf16, Fp16; arithmetic in float.
// Bytes    forward 3 · sizeof(T) an element; backward 5, and 1 more if h is written.
// Paths    packs of 16 bytes where rows are aligned, else one element at a time.
// Errors   the launch's.
#pragma once

#include <cstdint>

#include "cuda/number.h"
#include "cuda/stream.h"

namespace mayfly::cuda {

enum class Gate { silu, gelu_tanh };

struct GluForm {
  std::int64_t rows = 0;
  std::int64_t cols = 1;
  std::int64_t stride = 1;  // of e, g, de, dg
  Gate gate = Gate::silu;
};

// `h` may be `e` or `g` where stride is cols.
template <class T>
Error glu(T* h, const T* e, const T* g, const GluForm& form, Stream stream);

// `h` may be null. `de` may be `e`, `dg` may be `g`, `h` may be `dh`.
template <class T>
Error glu_backward(T* de, T* dg, T* h, const T* dh, const T* e, const T* g, const GluForm& form,
                   Stream stream);

// The same in double on the host, rows contiguous; of roundings only those of f and df.
template <class T>
void glu_reference(double* h, const T* e, const T* g, const GluForm& form);
template <class T>
void glu_backward_reference(double* de, double* dg, const T* dh, const T* e, const T* g,
                            const GluForm& form);

}  // namespace mayfly::cuda
