#include "trainer/ops/lora_linear.h"

#include <ATen/ops/addmm.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/sum.h>

#include "trainer/ops/random.h"

namespace mayfly {

namespace {

// x with a share of its elements zero and the rest scaled up, so that the mean stays.
at::Tensor dropped(const at::Tensor& x, const Dropout& dropout) {
  if (dropout.share <= 0.0) return x;
  return at::empty_like(x)
      .bernoulli_(1.0 - dropout.share, seeded_generator(x.device(), dropout.seed))
      .mul_(1.0 / (1.0 - dropout.share))
      .mul_(x);
}

// Rows of A, or columns of P, that belong to the n-th adapter there is.
struct Part {
  std::int64_t first, count;
};

// Calls use(i, part) for each linear layer i that has an adapter.
void for_each_adapter(const LoraGroup& adapters, const auto& use) {
  std::int64_t first = 0;
  for (std::size_t i = 0; i < adapters.B.size(); ++i) {
    if (!adapters.B[i].defined()) continue;
    const std::int64_t rank = adapters.B[i].size(1);
    use(i, Part{first, rank});
    first += rank;
  }
}

// Makes y = x Wᵀ + b what it is with magnitudes.
void add_decomposed(const at::Tensor& y, const at::Tensor& dropped_x, const at::Tensor& P,
                    const at::Tensor& B, const at::Tensor& c, const FrozenWeight& weight,
                    const LoraGroup& adapters, const Dropout& dropout) {
  if (dropout.share <= 0.0) {
    if (weight.bias().defined()) y.sub_(weight.bias());
    y.addmm_(P, B.t(), 1.0, adapters.scale).mul_(c);
    if (weight.bias().defined()) y.add_(weight.bias());
    return;
  }
  at::Tensor u = at::mm(dropped_x, weight.matrix().t());
  y.sub_(u);
  y.add_(u.addmm_(P, B.t(), 1.0, adapters.scale).mul_(c));
}

}  // namespace

LoraLinearForward lora_linear(const at::Tensor& x, const std::vector<FrozenWeight>& weights,
                              const LoraGroup& adapters, const Dropout& dropout) {
  LoraLinearForward result;
  for (const FrozenWeight& weight : weights) {
    const at::Tensor W = weight.matrix().t();
    result.y.push_back(weight.bias().defined() ? at::addmm(weight.bias(), x, W) : at::mm(x, W));
  }
  if (adapters.empty()) return result;
  const at::Tensor dropped_x = dropped(x, dropout);
  result.P = at::mm(dropped_x, adapters.A.t());
  for_each_adapter(adapters, [&](std::size_t i, Part part) {
    const at::Tensor P = result.P.narrow(1, part.first, part.count);
    if (adapters.has_magnitudes()) {
      return add_decomposed(result.y[i], dropped_x, P, adapters.B[i], adapters.c[i], weights[i],
                            adapters, dropout);
    }
    result.y[i].addmm_(P, adapters.B[i].t(), 1.0, adapters.scale);
  });
  return result;
}

LoraLinearBackward lora_linear_backward(const std::vector<at::Tensor>& dy, const at::Tensor& P,
                                        const std::vector<FrozenWeight>& weights,
                                        const LoraGroup& adapters, const Dropout& dropout,
                                        bool needs_dx) {
  LoraLinearBackward result;
  at::Tensor& dx = result.dx;
  const bool drops = dropout.share > 0.0;
  // What goes back through W alone, and through the adapter.
  std::vector<at::Tensor> through_W = dy, through_B = dy;
  if (adapters.has_magnitudes()) {
    for_each_adapter(adapters, [&](std::size_t i, Part) {
      through_B[i] = dy[i].mul(adapters.c[i]);
      if (!drops) through_W[i] = through_B[i];
    });
  }
  if (needs_dx) {
    dx = at::mm(through_W[0], weights[0].matrix());
    for (std::size_t i = 1; i < dy.size(); ++i) dx.addmm_(through_W[i], weights[i].matrix());
  }
  if (adapters.empty()) return result;

  at::Tensor& Q = result.Q;
  Q = at::empty_like(P);
  for_each_adapter(adapters, [&](std::size_t i, Part part) {
    at::Tensor Q_part = Q.narrow(1, part.first, part.count);
    Q_part.copy_(at::mm(through_B[i], adapters.B[i]));
    const at::Tensor P_part = P.narrow(1, part.first, part.count);
    adapters.B_gradient[i].add_(at::mm(through_B[i].t(), P_part), adapters.scale);
  });
  if (!needs_dx) return result;
  if (!drops) {
    dx.addmm_(Q, adapters.A, 1.0, adapters.scale);
    return result;
  }
  // The mask and its scaling are linear, so the gradient goes through the same ones.
  dx.add_(dropped(at::mm(Q, adapters.A), dropout), adapters.scale);
  if (adapters.has_magnitudes()) {
    for_each_adapter(adapters, [&](std::size_t i, Part) {
      dx.add_(dropped(at::mm(through_B[i].sub_(dy[i]), weights[i].matrix()), dropout));
    });
  }
  return result;
}

void add_A_gradient(const at::Tensor& Q, const at::Tensor& x, const LoraGroup& adapters,
                    const Dropout& dropout) {
  if (adapters.empty()) return;
  adapters.A_gradient.add_(at::mm(Q.t(), dropped(x, dropout)), adapters.scale);
}

void add_magnitude_gradient(const std::vector<at::Tensor>& dy, const at::Tensor& P,
                            const at::Tensor& x, const std::vector<FrozenWeight>& weights,
                            const LoraGroup& adapters, const Dropout& dropout) {
  const at::Tensor dropped_x = dropped(x, dropout);
  for_each_adapter(adapters, [&](std::size_t i, Part part) {
    const at::Tensor P_part = P.narrow(1, part.first, part.count);
    at::Tensor u = at::mm(dropped_x, weights[i].matrix().t());
    u.addmm_(P_part, adapters.B[i].t(), 1.0, adapters.scale);
    const at::Tensor sums = at::sum(u.mul_(dy[i]), {0}, /*keepdim=*/false, at::kFloat);
    adapters.magnitude_gradient[i].add_(sums.div(adapters.row_norm[i]));
  });
}

}  // namespace mayfly
