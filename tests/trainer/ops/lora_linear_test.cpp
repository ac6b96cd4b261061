// DoRA's layer against the formula in double with autograd, with a bias, beside a layer without an
// adapter, with and without dropout: of all the terms none is large enough to be missed in a loss.
#include "trainer/ops/lora_linear.h"

#include <gtest/gtest.h>

#include "tests/trainer/tiny_llama.h"
#include "trainer/nn/row_norms.h"

namespace mayfly {
namespace {

class DoraLinearTest : public testing::TestWithParam<double> {
 protected:
  static constexpr std::int64_t kRows = 7, kInputs = 6, kRank = 2;

  static at::Tensor draw(at::IntArrayRef shape, std::uint64_t seed) {
    return random_tensor(shape, 1.0, seed).to(at::kDouble);
  }
  // The same draw as the layer's own: with A the identity, P is what is left of x.
  static at::Tensor dropped(const at::Tensor& x, const Dropout& dropout) {
    LoraGroup probe;
    probe.A = at::eye(kInputs, at::kDouble);
    probe.B = {at::zeros({3, kInputs}, at::kDouble)};
    return lora_linear(x, {FrozenWeight(draw({3, kInputs}, 9))}, probe, dropout).P;
  }
};

TEST_P(DoraLinearTest, IsTheFormulaAndItsGradient) {
  const Dropout dropout{GetParam(), 77};
  const at::Tensor x = draw({kRows, kInputs}, 1), A = draw({2 * kRank, kInputs}, 2);
  const std::vector<std::int64_t> outputs = {4, 3, 5};  // the one in the middle has no adapter
  std::vector<FrozenWeight> weights;
  std::vector<at::Tensor> dy;
  LoraGroup group;
  group.scale = 1.5;
  group.A = A;
  group.A_gradient = at::zeros_like(A);
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    const std::uint64_t seed = 10 * (i + 1);
    weights.emplace_back(draw({outputs[i], kInputs}, seed));
    if (i != 1) weights.back().set_bias(draw({outputs[i]}, seed + 1));
    dy.push_back(draw({kRows, outputs[i]}, seed + 2));
    const bool has = i != 1;
    const auto row = [&](std::uint64_t more) {
      return draw({outputs[i]}, seed + more).abs() + 0.5;
    };
    group.B.push_back(has ? draw({outputs[i], kRank}, seed + 3) : at::Tensor());
    group.B_gradient.push_back(has ? at::zeros_like(group.B[i]) : at::Tensor());
    group.c.push_back(has ? row(4) : at::Tensor());
    group.row_norm.push_back(has ? row(5) : at::Tensor());
    group.magnitude_gradient.push_back(has ? at::zeros({outputs[i]}, at::kDouble) : at::Tensor());
  }

  const auto leaf = [](const at::Tensor& value) { return value.clone().requires_grad_(true); };
  const at::Tensor x_ref = leaf(x), A_ref = leaf(A);
  const at::Tensor kept = dropped(x, dropout) / x;  // 0, or what the rest is scaled by
  std::vector<at::Tensor> B_ref, m_ref;
  at::Tensor sum = at::zeros({}, at::kDouble);
  std::vector<at::Tensor> y_ref;
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    const at::Tensor W = weights[i].matrix();
    at::Tensor y = at::matmul(x_ref, W.t());
    if (i != 1) y = y + weights[i].bias();
    B_ref.push_back(i == 1 ? at::Tensor() : leaf(group.B[i]));
    m_ref.push_back(i == 1 ? at::Tensor() : leaf(group.c[i] * group.row_norm[i]));
    if (i != 1) {
      const at::Tensor rows = A_ref.narrow(0, i == 0 ? 0 : kRank, kRank), xd = x_ref * kept;
      const at::Tensor low = group.scale * at::matmul(at::matmul(xd, rows.t()), B_ref[i].t());
      const at::Tensor c = m_ref[i] / group.row_norm[i];
      y = y + (c - 1) * at::matmul(xd, W.t()) + c * low;
    }
    y_ref.push_back(y);
    sum = sum + (y * dy[i]).sum();
  }
  sum.backward();

  const LoraLinearForward forward = lora_linear(x, weights, group, dropout);
  const LoraLinearBackward back =
      lora_linear_backward(dy, forward.P, weights, group, dropout, /*needs_dx=*/true);
  add_A_gradient(back.Q, x, group, dropout);
  add_magnitude_gradient(dy, forward.P, x, weights, group, dropout);
  constexpr double kDouble = 1e-12, kFloat = 1e-6;  // sums of magnitudes are float32
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    EXPECT_LT(relative_difference(forward.y[i], y_ref[i]), kDouble) << i;
    if (i == 1) continue;
    EXPECT_LT(relative_difference(group.B_gradient[i], B_ref[i].grad()), kDouble) << i;
    EXPECT_LT(relative_difference(group.magnitude_gradient[i], m_ref[i].grad()), kFloat) << i;
  }
  EXPECT_LT(relative_difference(back.dx, x_ref.grad()), kDouble);
  EXPECT_LT(relative_difference(group.A_gradient, A_ref.grad()), kDouble);
}

INSTANTIATE_TEST_SUITE_P(Shares, DoraLinearTest, testing::Values(0.0, 0.4));

// More rows than are looked at in one piece.
TEST(RowNormsTest, AreThoseOfTheSum) {
  const at::Tensor W = random_tensor({2500, 64}, 0.1, 1), A = random_tensor({8, 64}, 0.1, 2);
  const at::Tensor B = random_tensor({2500, 8}, 0.2, 3);
  const auto right = [&](const at::Tensor& base) {
    return (base.to(at::kDouble) + 2.0 * at::mm(B, A).to(at::kDouble)).square().sum(1).sqrt();
  };
  const FrozenWeight dense(W);
  EXPECT_LT(
      relative_difference(adapted_row_norms(dense, squared_row_norms(dense), A, B, 2.0), right(W)),
      1e-6);
  const FrozenWeight half(W.to(at::kBFloat16));
  EXPECT_LT(relative_difference(adapted_row_norms(half, squared_row_norms(half), A, B, 2.0),
                                right(W.to(at::kBFloat16))),
            1e-6);
  // What cancels out is nothing, not the root of less than nothing.
  const FrozenWeight product(at::mm(B, A));
  const at::Tensor none = adapted_row_norms(product, squared_row_norms(product), A, B.neg(), 1.0);
  EXPECT_FALSE(none.isnan().any().item<bool>());
  EXPECT_LT(none.max().item<double>(), 1e-2);
}

}  // namespace
}  // namespace mayfly
