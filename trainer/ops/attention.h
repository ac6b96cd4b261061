// Causal attention within each document of a packed row; heads share keys and values in groups of
// H / K.
//
//   out = softmax(q kᵀ · scale + mask) v,  scale = 1 / sqrt(E) unless given
//
// With a window w, row i sees the rows i - w + 1 to i of its document. With a soft cap c the scaled
// scores are c · tanh(score / c) (Gemma 2), which takes products everywhere.
//
// Shapes   q, out (N, H, E), k, v (N, K, E); `starts`: first rows of the documents, then N.
// Types    the type of computing; softmax in float32.
// On the CPU libtorch's fused kernel, document by document: no T·T matrix. On a GPU of compute
// capability 8.0 or more, in bfloat16 or float16, libtorch's FlashAttention 2 over all documents at
// once, without a mask: with one, cuDNN's backward pass has given NaN (pytorch issue 196678).
// Elsewhere plain matrix products, which take H·T·T floats for the longest document; they run on
// the CPU too, and the tests hold one against the other. `flash` compiles and has not run yet, for
// want of a GPU.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include <ATen/core/Tensor.h>

namespace mayfly {

enum class AttentionBackend { fused, flash, products };
struct AttentionForm {
  AttentionBackend backend = AttentionBackend::products;
  std::optional<double> scale = {};  // absent: 1 / sqrt(E)
  std::int64_t window = 0;           // 0: none. REQUIRES none shorter than a document for `flash`
  double soft_cap = 0;               // 0: none. REQUIRES 0 but for `products`
};

// For tensors like `q`, (N, H, E) or any part of it. A `longest` document longer than the form's
// window takes `products` on a GPU, a soft cap everywhere. `form.backend` does not matter.
AttentionBackend attention_backend(const at::Tensor& like, std::int64_t head_width,
                                   std::int64_t longest, const AttentionForm& form);

struct AttentionForward {
  at::Tensor out;
  // For the backward pass. `fused`: one a document; `flash`: of all, its two random states, and
  // the documents' starts on the GPU.
  std::vector<at::Tensor> normalizers;
};
AttentionForward attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                           const std::vector<std::int64_t>& starts, const AttentionForm& form);

struct AttentionGradients {
  at::Tensor dq, dk, dv;
};
AttentionGradients attention_backward(const at::Tensor& dout, const at::Tensor& q,
                                      const at::Tensor& k, const at::Tensor& v,
                                      const AttentionForward& forward,
                                      const std::vector<std::int64_t>& starts,
                                      const AttentionForm& form);

}  // namespace mayfly
