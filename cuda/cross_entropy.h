// Cross entropy over rows of logits that become their own gradient, in place.
//
//   v = x, or cap · tanh(x / cap)                     soft cap (Gemma 2)
//   lse = log Σ exp(v)
//   loss = (1 - ε)(lse - v_y) + ε (lse - mean(v)) + z lse²     label smoothing ε, z-loss z
//   dx_j = scale · dv_j/dx_j · (softmax_j (1 + 2 z lse) - ε / V - (1 - ε)[j = y])
//
// The head's product makes the logits of a slice of rows, this makes loss and gradient of them, the
// product with the head makes the gradient of its input: the logits of all rows never exist at
// once, and a frozen head needs no more. Rows without a label are best left out before the product;
// one that is here (target below 0) gives loss 0 and gradient 0. A target of V or more gives a loss
// that is no number, so that it is noticed. Source   the greatest value and the sum of exponentials
// in one pass: Milakov and Gimelshein 2018,
//          arXiv:1805.02867. Label smoothing as torch.nn.CrossEntropyLoss; z-loss as PaLM,
//          arXiv:2204.02311.
// Shapes   logits (rows, cols), rows `stride` apart; targets (rows); loss (rows).
// Types    T: float, Bf16, Fp16; statistics, loss in float. Sums over a row are taken in one order.
// Bytes    2 reads and 1 write of sizeof(T) a logit; the second read comes backwards, so that the
//          end of the row is still in L2. The loss alone: 1 read.
// Paths    packs of 16 bytes where rows are aligned, else one logit at a time.
// Errors   the launch's.
#pragma once

#include <cstdint>

#include "cuda/number.h"
#include "cuda/stream.h"

namespace mayfly::cuda {

struct CrossEntropyForm {
  std::int64_t rows = 0;
  std::int64_t cols = 1;
  std::int64_t stride = 1;
  float label_smoothing = 0.0f;
  float z_loss = 0.0f;
  float soft_cap = 0.0f;  // 0: none
  float scale = 1.0f;     // of the gradient: one over the number of trained tokens
  bool gradient = true;   // false: logits are only read
};

template <class T>
Error cross_entropy(float* loss, T* logits, const std::int64_t* targets,
                    const CrossEntropyForm& form, Stream stream);

// The same in double on the host, rows contiguous; `gradient` may be null.
template <class T>
void cross_entropy_reference(double* loss, double* gradient, const T* logits,
                             const std::int64_t* targets, const CrossEntropyForm& form);

}  // namespace mayfly::cuda
