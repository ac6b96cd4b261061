#include "trainer/ops/attention.h"

#include <cmath>
#include <limits>

#include <ATen/ops/_scaled_dot_product_flash_attention_for_cpu.h>
#include <ATen/ops/_scaled_dot_product_flash_attention_for_cpu_backward.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/softmax.h>

namespace mayfly {

namespace {

// Rows of one document, heads first: (N, heads, E) -> (1, heads, T, E), a view.
at::Tensor heads_first(const at::Tensor& x, std::int64_t first, std::int64_t last) {
  return x.narrow(0, first, last - first).transpose(0, 1).unsqueeze(0);
}

// (1, K, T, E) -> (1, H, T, E): each key-value head once for every query head of its group.
at::Tensor expand_heads(const at::Tensor& x, std::int64_t heads) {
  const std::int64_t group = heads / x.size(1);
  if (group == 1) return x;
  return x.unsqueeze(2)
      .expand({1, x.size(1), group, x.size(2), x.size(3)})
      .reshape({1, heads, x.size(2), x.size(3)});
}

// The way back: sums the gradients of a group's heads.
at::Tensor sum_heads(const at::Tensor& dx, std::int64_t kv_heads) {
  const std::int64_t group = dx.size(1) / kv_heads;
  if (group == 1) return dx;
  return dx.reshape({1, kv_heads, group, dx.size(2), dx.size(3)}).sum(2);
}

double scale_of(const at::Tensor& q) {
  return 1.0 / std::sqrt(static_cast<double>(q.size(-1)));
}

// softmax(q kᵀ scale + causal mask), (1, H, T, T) in float32.
at::Tensor probabilities(const at::Tensor& q, const at::Tensor& k) {
  const std::int64_t length = q.size(2);
  const at::Tensor later = at::ones({length, length}, q.options().dtype(at::kBool)).triu(1);
  return at::matmul(q, k.transpose(2, 3))
      .to(at::kFloat)
      .mul_(scale_of(q))
      .masked_fill_(later, -std::numeric_limits<float>::infinity())
      .softmax(-1);
}

AttentionGradients products_backward(const at::Tensor& dout, const at::Tensor& q,
                                     const at::Tensor& k, const at::Tensor& v) {
  const at::Tensor p = probabilities(q, k);
  const at::Tensor dv = at::matmul(p.to(q.scalar_type()).transpose(2, 3), dout);
  const at::Tensor dp = at::matmul(dout, v.transpose(2, 3)).to(at::kFloat);
  // Through the softmax: ds = p (dp - sum(dp p)).
  const at::Tensor ds = dp.sub_(dp.mul(p).sum(-1, /*keepdim=*/true)).mul_(p).mul_(scale_of(q));
  const at::Tensor ds_rounded = ds.to(q.scalar_type());
  return {at::matmul(ds_rounded, k), at::matmul(ds_rounded.transpose(2, 3), q), dv};
}

}  // namespace

AttentionBackend attention_backend(at::Device device) {
  return device.is_cpu() ? AttentionBackend::fused : AttentionBackend::products;
}

AttentionForward attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                           const std::vector<std::int64_t>& starts, AttentionBackend backend) {
  AttentionForward forward{.out = at::empty_like(q), .normalizers = {}};
  for (std::size_t i = 1; i < starts.size(); ++i) {
    const at::Tensor q_doc = heads_first(q, starts[i - 1], starts[i]);
    const at::Tensor k_doc = expand_heads(heads_first(k, starts[i - 1], starts[i]), q.size(1));
    const at::Tensor v_doc = expand_heads(heads_first(v, starts[i - 1], starts[i]), q.size(1));
    at::Tensor out;
    if (backend == AttentionBackend::fused) {
      auto [fused_out, normalizer] = at::_scaled_dot_product_flash_attention_for_cpu(
          q_doc, k_doc, v_doc, /*dropout_p=*/0.0, /*is_causal=*/true);
      out = fused_out;
      forward.normalizers.push_back(normalizer);
    } else {
      out = at::matmul(probabilities(q_doc, k_doc).to(q.scalar_type()), v_doc);
    }
    heads_first(forward.out, starts[i - 1], starts[i]).copy_(out);
  }
  return forward;
}

AttentionGradients attention_backward(const at::Tensor& dout, const at::Tensor& q,
                                      const at::Tensor& k, const at::Tensor& v,
                                      const AttentionForward& forward,
                                      const std::vector<std::int64_t>& starts,
                                      AttentionBackend backend) {
  AttentionGradients all{at::empty_like(q), at::empty_like(k), at::empty_like(v)};
  for (std::size_t i = 1; i < starts.size(); ++i) {
    const auto rows = [&](const at::Tensor& x) { return heads_first(x, starts[i - 1], starts[i]); };
    const at::Tensor k_doc = expand_heads(rows(k), q.size(1));
    const at::Tensor v_doc = expand_heads(rows(v), q.size(1));
    AttentionGradients doc;
    if (backend == AttentionBackend::fused) {
      std::tie(doc.dq, doc.dk, doc.dv) = at::_scaled_dot_product_flash_attention_for_cpu_backward(
          rows(dout), rows(q), k_doc, v_doc, rows(forward.out), forward.normalizers[i - 1],
          /*dropout_p=*/0.0, /*is_causal=*/true);
    } else {
      doc = products_backward(rows(dout), rows(q), k_doc, v_doc);
    }
    rows(all.dq).copy_(doc.dq);
    rows(all.dk).copy_(sum_heads(doc.dk, k.size(1)));
    rows(all.dv).copy_(sum_heads(doc.dv, k.size(1)));
  }
  return all;
}

}  // namespace mayfly
