// Causal attention within each document of a packed row; heads share keys and values in groups of
// H / K.
//
//   out = softmax(q kᵀ · scale + mask) v,  scale = 1 / sqrt(E)
//
// Shapes   q, out (N, H, E), k, v (N, K, E); `starts`: first rows of the documents, then N.
// Types    the type of computing; softmax in float32.
// On the CPU libtorch's fused kernel, document by document: no T·T matrix. Elsewhere the same in
// plain matrix products, which take H·T·T floats for the longest document; it runs on the CPU too
// (AttentionBackend::products), and the tests hold one against the other.
#pragma once

#include <cstdint>
#include <vector>

#include <ATen/core/Tensor.h>

namespace mayfly {

enum class AttentionBackend { fused, products };
AttentionBackend attention_backend(at::Device device);

struct AttentionForward {
  at::Tensor out;
  std::vector<at::Tensor> normalizers;  // one a document, for the backward pass of `fused`
};
AttentionForward attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                           const std::vector<std::int64_t>& starts, AttentionBackend backend);

struct AttentionGradients {
  at::Tensor dq, dk, dv;
};
AttentionGradients attention_backward(const at::Tensor& dout, const at::Tensor& q,
                                      const at::Tensor& k, const at::Tensor& v,
                                      const AttentionForward& forward,
                                      const std::vector<std::int64_t>& starts,
                                      AttentionBackend backend);

}  // namespace mayfly
