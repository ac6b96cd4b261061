// Each op against the same in double or against a second way. Bounds are a few roundings of the
// type; shapes include one row, odd widths and slices that do not divide.
#include <cmath>

#include <gtest/gtest.h>

#include "tests/trainer/tiny_llama.h"
#include "trainer/ops/attention.h"
#include "trainer/ops/cache_attention.h"
#include "trainer/ops/cross_entropy.h"
#include "trainer/ops/glu.h"
#include "trainer/ops/rms_norm.h"
#include "trainer/ops/rope_apply.h"

namespace mayfly {
namespace {

at::Tensor leaf(const at::Tensor& x) {
  return x.to(at::kDouble).clone().requires_grad_(true);
}

// One unit of rounding, relative to the largest value.
double unit(at::ScalarType type) {
  return type == at::kBFloat16 ? 0x1.0p-8 : 0x1.0p-23;
}

class OpsTest : public testing::TestWithParam<at::ScalarType> {
 protected:
  at::Tensor draw(at::IntArrayRef shape, std::uint64_t seed) const {
    return random_tensor(shape, 1.0, seed).to(GetParam());
  }
  double tolerance(double units) const {
    return units * unit(GetParam());
  }
};

TEST_P(OpsTest, RmsNormAndItsGradient) {
  for (const std::int64_t width : {1, 31, 64, 577, -64}) {
    const NormForm form{.eps = 1e-5, .one_plus = width < 0};
    const std::int64_t size = std::abs(width);
    const at::Tensor x = draw({5, size}, 1), w = draw({size}, 2), dy = draw({5, size}, 3);
    const at::Tensor x_ref = leaf(x);
    const at::Tensor factor = w.to(at::kDouble) + (form.one_plus ? 1.0 : 0.0);
    const at::Tensor y_ref = x_ref * at::rsqrt(x_ref.square().mean(-1, true) + 1e-5) * factor;
    y_ref.backward(dy.to(at::kDouble));
    EXPECT_LT(relative_difference(rms_norm(x, w, form), y_ref), tolerance(2)) << width;
    const at::Tensor dx = draw({5, size}, 4);
    const at::Tensor right = dx.to(at::kDouble) + x_ref.grad();
    rms_norm_backward(dx, dy, x, w, form);
    EXPECT_LT(relative_difference(dx, right), tolerance(4)) << width;
  }
}

// transformers rounds x · r before it multiplies by the weight; the difference is one unit in a
// quarter of all bf16 outputs, and must not be there.
TEST(RmsNormTest, RoundsTwiceAsTransformersDoes) {
  const at::Tensor x = random_tensor({50, 64}, 1.0, 1).to(at::kBFloat16);
  const at::Tensor w = random_tensor({64}, 1.0, 2).to(at::kBFloat16);
  const at::Tensor x_float = x.to(at::kFloat);
  const at::Tensor normed = x_float * at::rsqrt(x_float.square().mean(-1, true) + 1e-5);
  EXPECT_TRUE(rms_norm(x, w, {1e-5}).equal(w * normed.to(at::kBFloat16)));
}

// And once where it multiplies by 1 + w: 1 + w itself is not rounded, nor is x · r.
TEST(RmsNormTest, RoundsOnceWithOnePlusAsTransformersDoes) {
  const at::Tensor x = random_tensor({50, 64}, 1.0, 1).to(at::kBFloat16);
  const at::Tensor w = random_tensor({64}, 0.1, 2).to(at::kBFloat16);
  const at::Tensor x_float = x.to(at::kFloat);
  const at::Tensor normed = x_float * at::rsqrt(x_float.square().mean(-1, true) + 1e-5);
  const at::Tensor right = (normed * (1.0 + w.to(at::kFloat))).to(at::kBFloat16);
  const at::Tensor got = rms_norm(x, w, {.eps = 1e-5, .one_plus = true});
  // The sum of squares is added in another order: a tie may fall to the other side.
  EXPECT_LT(got.ne(right).sum().item<std::int64_t>(), 5);
}

TEST_P(OpsTest, GatedUnitsAndTheirGradients) {
  for (const GateActivation activation : {GateActivation::silu, GateActivation::gelu_tanh}) {
    const at::Tensor e = draw({7, 33}, 1).mul(4), g = draw({7, 33}, 2), dh = draw({7, 33}, 3);
    const at::Tensor e_ref = leaf(e), g_ref = leaf(g);
    const at::Tensor h_ref = (activation == GateActivation::silu ? e_ref * at::sigmoid(e_ref)
                                                                 : at::gelu(e_ref, "tanh")) *
                             g_ref;
    h_ref.backward(dh.to(at::kDouble));
    EXPECT_LT(relative_difference(glu(e, g, activation), h_ref), tolerance(3));
    const at::Tensor de = e.clone(), dg = g.clone(), h = dh.clone();
    glu_backward(de, dg, h, activation);
    EXPECT_TRUE(h.equal(glu(e, g, activation)));
    // GELU's exponent is a cubic of e, tens of units here: its rounding counts that often.
    const double units = activation == GateActivation::silu ? 4 : 8;
    EXPECT_LT(relative_difference(de, e_ref.grad()), tolerance(units));
    EXPECT_LT(relative_difference(dg, g_ref.grad()), tolerance(4));
  }
}

TEST(GluTest, StandsGreatNumbers) {
  const at::Tensor e = at::tensor({-200.0f, -90.0f, 0.0f, 90.0f, 200.0f});
  const at::Tensor one = at::ones({5});
  for (const GateActivation activation : {GateActivation::silu, GateActivation::gelu_tanh}) {
    const at::Tensor right = activation == GateActivation::silu ? at::silu(e) : at::gelu(e, "tanh");
    EXPECT_LT((glu(e, one, activation) - right).abs().max().item<float>(), 1e-30f);
    const at::Tensor de = e.clone(), dg = one.clone();
    glu_backward(de, dg, one.clone(), activation);
    EXPECT_TRUE(de.isfinite().all().item<bool>());
    EXPECT_EQ(de[4].item<float>(), 1.0f);
  }
}

TEST_P(OpsTest, RopeTurnsAndTurnsBack) {
  const at::Tensor x = draw({6, 3, 10}, 1), angle = random_tensor({6, 5}, 3.0, 2);
  const at::Tensor c = angle.cos().to(GetParam()), s = angle.sin().to(GetParam());
  const at::Tensor a = x.narrow(2, 0, 5).to(at::kDouble), b = x.narrow(2, 5, 5).to(at::kDouble);
  const at::Tensor cd = c.to(at::kDouble).unsqueeze(1), sd = s.to(at::kDouble).unsqueeze(1);
  const at::Tensor turned = x.clone();
  const at::Tensor key = x.narrow(1, 0, 2).contiguous();
  rope_apply(turned, key, c, s, Turn::forward);
  EXPECT_LT(relative_difference(turned, at::cat({a * cd - b * sd, b * cd + a * sd}, 2)),
            tolerance(2));
  EXPECT_TRUE(key.equal(turned.narrow(1, 0, 2)));
  rope_apply(turned, key, c, s, Turn::backward);
  EXPECT_LT(relative_difference(turned, x), tolerance(6));
}

// Heads of 32 and more go through the tile unit on the way back, where the processor has one and
// the type is bfloat16. Windows shorter than the longest document, as long, and longer. Not 1: dq
// is zero there.
TEST_P(OpsTest, AWindowTheFusedWayIsTheWindowInProducts) {
  const std::vector<std::int64_t> starts = {0, 1, 78, 81};
  for (const std::int64_t width : {16, 32, 64}) {
    const at::Tensor q = draw({81, 6, width}, 1), k = draw({81, 2, width}, 2);
    const at::Tensor v = draw({81, 2, width}, 3), dout = draw({81, 6, width}, 4);
    const auto all = attention(q, k, v, starts, {AttentionBackend::fused, 0.4});
    for (const std::int64_t window : {2, 7, 33, 76, 77, 90}) {
      const AttentionForm by_fused{AttentionBackend::fused, 0.4, window};
      const AttentionForm by_products{AttentionBackend::products, 0.4, window};
      const auto fused = attention(q, k, v, starts, by_fused);
      const auto products = attention(q, k, v, starts, by_products);
      EXPECT_LT(relative_difference(fused.out, products.out), tolerance(8)) << window;
      EXPECT_EQ(fused.out.equal(all.out), window >= 77) << window;
      const auto a = attention_backward(dout, q, k, v, fused, starts, by_fused);
      const auto b = attention_backward(dout, q, k, v, products, starts, by_products);
      EXPECT_LT(relative_difference(a.dq, b.dq), tolerance(32)) << window << " of " << width;
      EXPECT_LT(relative_difference(a.dk, b.dk), tolerance(32)) << window << " of " << width;
      EXPECT_LT(relative_difference(a.dv, b.dv), tolerance(32)) << window << " of " << width;
    }
  }
}

// Against one document after the other in double, with libtorch's derivatives.
TEST_P(OpsTest, AttentionWithASoftCap) {
  const std::vector<std::int64_t> starts = {0, 1, 24};
  const at::Tensor q = draw({24, 4, 16}, 1), k = draw({24, 2, 16}, 2);
  const at::Tensor v = draw({24, 2, 16}, 3), dout = draw({24, 4, 16}, 4);
  const AttentionForm form{AttentionBackend::products, 0.4, /*window=*/9, /*soft_cap=*/1.5};
  const auto got = attention(q, k, v, starts, form);
  const auto gradients = attention_backward(dout, q, k, v, got, starts, form);
  const at::Tensor q_ref = leaf(q), k_ref = leaf(k), v_ref = leaf(v);
  std::vector<at::Tensor> parts;
  for (std::size_t d = 1; d < starts.size(); ++d) {
    const auto rows = [&](const at::Tensor& x) {
      return x.slice(0, starts[d - 1], starts[d])
          .repeat_interleave(4 / x.size(1), 1)
          .transpose(0, 1);
    };
    const at::Tensor scores = 1.5 * at::tanh(at::matmul(rows(q_ref), rows(k_ref).mT()) * 0.4 / 1.5);
    const at::Tensor seen = at::ones(scores.sizes(), at::kBool).tril().triu(-8);
    const at::Tensor p = scores.masked_fill(seen.logical_not(), -1e300).softmax(-1);
    parts.push_back(at::matmul(p, rows(v_ref)).transpose(0, 1));
  }
  const at::Tensor right = at::cat(parts);
  right.backward(dout.to(at::kDouble));
  EXPECT_LT(relative_difference(got.out, right), tolerance(8));
  EXPECT_LT(relative_difference(gradients.dq, q_ref.grad()), tolerance(32));
  EXPECT_LT(relative_difference(gradients.dk, k_ref.grad()), tolerance(32));
  EXPECT_LT(relative_difference(gradients.dv, v_ref.grad()), tolerance(32));
  const auto only_last = cache_attention(q.slice(0, 23), k.slice(0, 1), v.slice(0, 1), form);
  EXPECT_LT(relative_difference(only_last, right[23].reshape({1, -1})), tolerance(8));
}

// Documents of one token, of a whole number of tiles' edges, and of one less and one more.
TEST_P(OpsTest, AttentionTheFusedWayIsAttentionInProducts) {
  const std::vector<std::int64_t> starts = {0, 1, 32, 64, 97, 172};
  for (const std::int64_t kv_heads : {1, 2, 6}) {
    for (const std::int64_t width : {16, 32, 64, 96}) {
      const at::Tensor q = draw({172, 6, width}, 1), k = draw({172, kv_heads, width}, 2);
      const at::Tensor v = draw({172, kv_heads, width}, 3), dout = draw({172, 6, width}, 4);
      const auto fused = attention(q, k, v, starts, {AttentionBackend::fused});
      const auto products = attention(q, k, v, starts, {AttentionBackend::products});
      EXPECT_LT(relative_difference(fused.out, products.out), tolerance(8)) << kv_heads;
      const auto a = attention_backward(dout, q, k, v, fused, starts, {AttentionBackend::fused});
      const auto b =
          attention_backward(dout, q, k, v, products, starts, {AttentionBackend::products});
      EXPECT_LT(relative_difference(a.dq, b.dq), tolerance(16)) << kv_heads << " of " << width;
      EXPECT_LT(relative_difference(a.dk, b.dk), tolerance(16)) << kv_heads << " of " << width;
      EXPECT_LT(relative_difference(a.dv, b.dv), tolerance(16)) << kv_heads << " of " << width;
    }
  }
}

TEST_P(OpsTest, CrossEntropyAndItsGradientOverSeveralSlices) {
  // 20,000 words are 80 or 40 KB a row: 32 MB hold 419 or 838 of the 1,000 rows, so the last slice
  // is shorter than the others.
  const at::Tensor hidden = draw({1000, 4}, 1), head = draw({20000, 4}, 2);
  const at::Tensor targets = at::arange(1000, at::kLong).mul_(19);
  const at::Tensor hidden_ref = leaf(hidden);
  const at::Tensor right = -at::matmul(hidden_ref, head.to(at::kDouble).t())
                                .log_softmax(-1)
                                .gather(1, targets.unsqueeze(1))
                                .sum();
  (right * 0.25).backward();
  const auto got = cross_entropy_with_gradient(hidden, head, targets, {.scale = 0.25});
  EXPECT_NEAR(got.loss / right.item<double>(), 1.0, tolerance(1));
  EXPECT_EQ(cross_entropy(hidden, head, targets), got.loss);
  // A sum of 20,000 products; without AVX-512 libtorch's own, of the exact gradients, is 3e-5 off.
  const at::Tensor dlogits =
      at::matmul(hidden.to(at::kDouble), head.to(at::kDouble).t())
          .softmax(-1)
          .scatter_add_(1, targets.unsqueeze(1), at::full({1000, 1}, -1.0, at::kDouble))
          .to(GetParam());
  const double product = relative_difference(at::mm(dlogits, head),
                                             at::mm(dlogits.to(at::kDouble), head.to(at::kDouble)));
  EXPECT_LT(relative_difference(got.dhidden, hidden_ref.grad()), tolerance(16) + 2 * product);
}

TEST_P(OpsTest, CrossEntropyOfCappedLogits) {
  const at::Tensor hidden = draw({9, 24}, 1), head = draw({50, 24}, 2);
  const at::Tensor targets = at::arange(9, at::kLong).mul_(5);
  const at::Tensor hidden_ref = leaf(hidden);
  const at::Tensor logits = 3.0 * at::tanh(at::matmul(hidden_ref, head.to(at::kDouble).t()) / 3.0);
  const at::Tensor right = -logits.log_softmax(-1).gather(1, targets.unsqueeze(1)).sum();
  (right * 0.25).backward();
  const LossForm form{.scale = 0.25, .soft_cap = 3.0};
  const auto got = cross_entropy_with_gradient(hidden, head, targets, form);
  EXPECT_NEAR(got.loss / right.item<double>(), 1.0, tolerance(2));
  EXPECT_EQ(cross_entropy(hidden, head, targets, form), got.loss);
  EXPECT_LT(relative_difference(got.dhidden, hidden_ref.grad()), tolerance(16));
}

INSTANTIATE_TEST_SUITE_P(Types, OpsTest, testing::Values(at::kFloat, at::kBFloat16),
                         [](const auto& type) {
                           return type.param == at::kFloat ? "Float" : "Bfloat16";
                         });

}  // namespace
}  // namespace mayfly
