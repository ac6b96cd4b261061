#include "trainer/ops/cache_attention.h"

#include <cmath>
#include <limits>
#include <optional>

#include <ATen/ops/matmul.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/softmax.h>

#include "trainer/ops/soft_cap.h"

namespace mayfly {

namespace {

// (rows, heads, E) -> (1, heads, rows, E), a view.
at::Tensor heads_before_rows(const at::Tensor& x) {
  return x.transpose(0, 1).unsqueeze(0);
}

// Scores that are capped have no fused way. Shapes as above; `seen` (n, n) or absent: all rows.
at::Tensor capped(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                  const std::optional<at::Tensor>& seen, const AttentionForm& form) {
  const auto expand = [&](const at::Tensor& x) {
    return heads_before_rows(x).repeat_interleave(q.size(1) / x.size(1), 1);
  };
  const double scale = form.scale.value_or(1.0 / std::sqrt(static_cast<double>(q.size(2))));
  const at::Tensor scores =
      at::matmul(heads_before_rows(q), expand(k).transpose(2, 3)).to(at::kFloat).mul_(scale);
  soft_cap(scores, form.soft_cap);
  if (seen) scores.masked_fill_(seen->logical_not(), -std::numeric_limits<float>::infinity());
  return at::matmul(scores.softmax(-1).to(q.scalar_type()), expand(v));
}

}  // namespace

at::Tensor cache_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                           const AttentionForm& form) {
  const std::int64_t count = q.size(0), length = k.size(0);
  const bool exceeds_window = form.window > 0 && form.window < length;
  // One row sees the last `window` keys; a whole text needs a mask.
  const std::int64_t first = exceeds_window && count == 1 ? length - form.window : 0;
  const at::Tensor keys = k.narrow(0, first, length - first);
  const at::Tensor values = v.narrow(0, first, length - first);
  std::optional<at::Tensor> seen;
  if (count > 1 && (exceeds_window || form.soft_cap > 0)) {
    seen = at::ones({count, count}, q.options().dtype(at::kBool)).tril();
    if (exceeds_window) seen = seen->triu(1 - form.window);
  }
  const at::Tensor out =
      form.soft_cap > 0
          ? capped(q, keys, values, seen, form)
          : at::scaled_dot_product_attention(
                heads_before_rows(q), heads_before_rows(keys), heads_before_rows(values), seen,
                /*dropout_p=*/0.0, /*is_causal=*/count > 1 && !seen, form.scale,
                /*enable_gqa=*/true);
  return out.squeeze(0).transpose(0, 1).reshape({count, -1});
}

}  // namespace mayfly
