#include "trainer/ops/attention.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <ATen/Parallel.h>
#include <ATen/ops/_flash_attention_backward.h>
#include <ATen/ops/_flash_attention_forward.h>
#include <ATen/ops/_scaled_dot_product_flash_attention_for_cpu.h>
#include <ATen/ops/_scaled_dot_product_flash_attention_for_cpu_backward.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/zeros.h>
#include <c10/util/Exception.h>

#include "trainer/ops/amx_attention.h"
#include "trainer/ops/amx_tiles.h"
#include "trainer/ops/device_ops.h"
#include "trainer/ops/on_rows.h"

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

double scale_of(const AttentionForm& form, const at::Tensor& q) {
  return form.scale.value_or(1.0 / std::sqrt(static_cast<double>(q.size(-1))));
}

// (T, T): what a row does not see, which is what comes later and what lies before the window.
at::Tensor unseen(const AttentionForm& form, const at::Tensor& q) {
  const std::int64_t length = q.size(2);
  const at::Tensor all = at::ones({length, length}, q.options().dtype(at::kBool));
  const at::Tensor later = all.triu(1);
  if (form.window == 0 || length <= form.window) return later;
  return later.logical_or_(all.tril(-form.window));
}

// Undefined where the causal mask alone does.
at::Tensor window_mask(const AttentionForm& form, const at::Tensor& q) {
  if (form.window == 0 || q.size(2) <= form.window) return {};
  return at::zeros({q.size(2), q.size(2)}, q.options())
      .masked_fill_(unseen(form, q), -std::numeric_limits<float>::infinity());
}

std::optional<at::Tensor> if_defined(const at::Tensor& x) {
  return x.defined() ? std::optional(x) : std::nullopt;
}

// q kᵀ scale, (1, H, T, T) in float32; with a soft cap c the tanh of them over c.
at::Tensor scores(const AttentionForm& form, const at::Tensor& q, const at::Tensor& k) {
  at::Tensor s = at::matmul(q, k.transpose(2, 3)).to(at::kFloat).mul_(scale_of(form, q));
  return form.soft_cap > 0 ? s.div_(form.soft_cap).tanh_() : s;
}

// softmax(scores + mask), of scores as above, which stay as they are with a soft cap only.
at::Tensor probabilities(const AttentionForm& form, const at::Tensor& q, const at::Tensor& s) {
  const at::Tensor all = form.soft_cap > 0 ? s.mul(form.soft_cap) : s;
  return all.masked_fill_(unseen(form, q), -std::numeric_limits<float>::infinity()).softmax(-1);
}

AttentionGradients products_backward(const AttentionForm& form, const at::Tensor& dout,
                                     const at::Tensor& q, const at::Tensor& k,
                                     const at::Tensor& v) {
  const at::Tensor s = scores(form, q, k);
  const at::Tensor p = probabilities(form, q, s);
  const at::Tensor dv = at::matmul(p.to(q.scalar_type()).transpose(2, 3), dout);
  const at::Tensor dp = at::matmul(dout, v.transpose(2, 3)).to(at::kFloat);
  // Through the softmax: ds = p (dp - sum(dp p)).
  const at::Tensor ds =
      dp.sub_(dp.mul(p).sum(-1, /*keepdim=*/true)).mul_(p).mul_(scale_of(form, q));
  // Through the cap: 1 - tanh².
  if (form.soft_cap > 0) ds.mul_(s.square().neg_().add_(1.0));
  const at::Tensor ds_rounded = ds.to(q.scalar_type());
  return {at::matmul(ds_rounded, k), at::matmul(ds_rounded.transpose(2, 3), q), dv};
}

std::int64_t longest(const std::vector<std::int64_t>& starts) {
  std::int64_t most = 0;
  for (std::size_t i = 1; i < starts.size(); ++i) most = std::max(most, starts[i] - starts[i - 1]);
  return most;
}

// (documents + 1) int32, where the kernel reads them.
at::Tensor starts_on(at::Device device, const std::vector<std::int64_t>& starts) {
  at::Tensor here = at::empty({static_cast<std::int64_t>(starts.size())}, at::kInt);
  std::copy(starts.begin(), starts.end(), here.mutable_data_ptr<std::int32_t>());
  return here.to(device);
}

AttentionForward flash(const AttentionForm& form, const at::Tensor& q, const at::Tensor& k,
                       const at::Tensor& v, const std::vector<std::int64_t>& starts) {
  const at::Tensor there = starts_on(q.device(), starts);
  const std::int64_t most = longest(starts);
  const auto [out, normalizer, random, unused, debug] = at::_flash_attention_forward(
      q, k, v, there, there, most, most, /*dropout_p=*/0.0,
      /*is_causal=*/true, /*return_debug_mask=*/false, scale_of(form, q));
  return {out, {normalizer, random, unused, there}};
}

AttentionGradients flash_backward(const AttentionForm& form, const at::Tensor& dout,
                                  const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                  const AttentionForward& forward,
                                  const std::vector<std::int64_t>& starts) {
  const std::int64_t most = longest(starts);
  const auto& kept = forward.normalizers;
  auto [dq, dk, dv] = at::_flash_attention_backward(
      dout, q, k, v, forward.out, kept[0], kept[3], kept[3], most, most, /*dropout_p=*/0.0,
      /*is_causal=*/true, kept[1], kept[2], scale_of(form, q));
  return {dq.contiguous(), dk.contiguous(), dv.contiguous()};
}

bool has_tiles(const at::Tensor& q) {
  const std::int64_t width = q.size(2);
  return q.is_cpu() && q.scalar_type() == at::kBFloat16 && width % 32 == 0 && width <= 256 &&
         amx_ready();
}

// Rows `first` and on of one head of x (N, heads, E).
template <class T>
HeadRows<T> head_rows(const at::Tensor& x, std::int64_t first, std::int64_t head) {
  return {row_data<Bf16>(x) + (first * x.size(1) + head) * x.size(2), x.size(1) * x.size(2)};
}

// Document after document and head after head, each by itself, in several threads.
AttentionGradients tiles_backward(const AttentionForm& form, const at::Tensor& dout_any,
                                  const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                  const AttentionForward& forward,
                                  const std::vector<std::int64_t>& starts) {
  const at::Tensor dout = dout_any.contiguous();
  AttentionGradients all{at::empty_like(q), at::empty_like(k), at::empty_like(v)};
  const std::int64_t heads = k.size(1), width = q.size(2), group = q.size(1) / heads;
  const auto documents = static_cast<std::int64_t>(starts.size()) - 1;
  const auto bytes = static_cast<std::int64_t>(amx_attention_scratch(longest(starts), width));
  at::parallel_for(0, documents * heads, 1, [&](std::int64_t begin, std::int64_t end) {
    const at::Tensor scratch = at::empty({bytes}, at::kByte);
    for (std::int64_t task = begin; task < end; ++task) {
      const auto document = static_cast<std::size_t>(task / heads);
      const std::int64_t head = task % heads, first = starts[document];
      const at::Tensor& lse = forward.normalizers[document];  // (1, H, T)
      amx_attention_backward(
          {.tokens = starts[document + 1] - first,
           .head_width = width,
           .group = group,
           .window = form.window,
           .scale = static_cast<float>(scale_of(form, q)),
           .q = head_rows<const Bf16>(q, first, head * group),
           .out = head_rows<const Bf16>(forward.out, first, head * group),
           .dout = head_rows<const Bf16>(dout, first, head * group),
           .k = head_rows<const Bf16>(k, first, head),
           .v = head_rows<const Bf16>(v, first, head),
           .normalizer = lse.const_data_ptr<float>() + head * group * lse.stride(1),
           .normalizer_step = lse.stride(2),
           .normalizer_head_step = lse.stride(1),
           .dq = head_rows<Bf16>(all.dq, first, head * group),
           .dk = head_rows<Bf16>(all.dk, first, head),
           .dv = head_rows<Bf16>(all.dv, first, head)},
          reinterpret_cast<std::byte*>(scratch.data_ptr()));
    }
  });
  return all;
}

}  // namespace

AttentionBackend attention_backend(const at::Tensor& like, std::int64_t head_width,
                                   std::int64_t longest, const AttentionForm& form) {
  if (form.soft_cap > 0) return AttentionBackend::products;
  if (like.is_cpu()) return AttentionBackend::fused;
  const bool has_mask = form.window > 0 && form.window < longest;
  return !has_mask && has_flash_attention(like, head_width) ? AttentionBackend::flash
                                                            : AttentionBackend::products;
}

AttentionForward attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                           const std::vector<std::int64_t>& starts, const AttentionForm& form) {
  TORCH_CHECK(form.soft_cap == 0 || form.backend == AttentionBackend::products,
              "attention: a soft cap");
  if (form.backend == AttentionBackend::flash) {
    TORCH_CHECK(form.window == 0 || longest(starts) <= form.window, "attention: a window");
    return flash(form, q, k, v, starts);
  }
  AttentionForward forward{.out = at::empty_like(q), .normalizers = {}};
  for (std::size_t i = 1; i < starts.size(); ++i) {
    const at::Tensor q_doc = heads_first(q, starts[i - 1], starts[i]);
    const at::Tensor k_doc = expand_heads(heads_first(k, starts[i - 1], starts[i]), q.size(1));
    const at::Tensor v_doc = expand_heads(heads_first(v, starts[i - 1], starts[i]), q.size(1));
    at::Tensor out;
    if (form.backend == AttentionBackend::fused) {
      const at::Tensor mask = window_mask(form, q_doc);
      auto [fused_out, normalizer] = at::_scaled_dot_product_flash_attention_for_cpu(
          q_doc, k_doc, v_doc, /*dropout_p=*/0.0, /*is_causal=*/!mask.defined(), if_defined(mask),
          scale_of(form, q));
      out = fused_out;
      forward.normalizers.push_back(normalizer);
    } else {
      const at::Tensor p = probabilities(form, q_doc, scores(form, q_doc, k_doc));
      out = at::matmul(p.to(q.scalar_type()), v_doc);
    }
    heads_first(forward.out, starts[i - 1], starts[i]).copy_(out);
  }
  return forward;
}

AttentionGradients attention_backward(const at::Tensor& dout, const at::Tensor& q,
                                      const at::Tensor& k, const at::Tensor& v,
                                      const AttentionForward& forward,
                                      const std::vector<std::int64_t>& starts,
                                      const AttentionForm& form) {
  if (form.backend == AttentionBackend::flash) {
    return flash_backward(form, dout, q, k, v, forward, starts);
  }
  if (form.backend == AttentionBackend::fused && has_tiles(q)) {
    return tiles_backward(form, dout, q, k, v, forward, starts);
  }
  AttentionGradients all{at::empty_like(q), at::empty_like(k), at::empty_like(v)};
  for (std::size_t i = 1; i < starts.size(); ++i) {
    const auto rows = [&](const at::Tensor& x) { return heads_first(x, starts[i - 1], starts[i]); };
    const at::Tensor k_doc = expand_heads(rows(k), q.size(1));
    const at::Tensor v_doc = expand_heads(rows(v), q.size(1));
    AttentionGradients doc;
    if (form.backend == AttentionBackend::fused) {
      const at::Tensor mask = window_mask(form, rows(q));
      std::tie(doc.dq, doc.dk, doc.dv) = at::_scaled_dot_product_flash_attention_for_cpu_backward(
          rows(dout), rows(q), k_doc, v_doc, rows(forward.out), forward.normalizers[i - 1],
          /*dropout_p=*/0.0, /*is_causal=*/!mask.defined(), if_defined(mask), scale_of(form, q));
    } else {
      doc = products_backward(form, rows(dout), rows(q), k_doc, v_doc);
    }
    rows(all.dq).copy_(doc.dq);
    rows(all.dk).copy_(sum_heads(doc.dk, k.size(1)));
    rows(all.dv).copy_(sum_heads(doc.dv, k.size(1)));
  }
  return all;
}

}  // namespace mayfly
