// Muon: momentum whose matrices are made orthogonal before they are added. Equal to
// torch.optim.Muon with adjust_lr_fn="match_rms_adamw", so that learning rates of AdamW fit.
//
//   m ← momentum · m + (1 - momentum) · g;  u ← (1 - momentum) · g + momentum · m
//   v ← v · (1 - rate · decay) - rate · 0.2 · sqrt(max(rows, columns)) · orthogonal(u)
//
// orthogonal(u): five Newton-Schulz steps in bfloat16, which bring every singular value near 1.
//
// Sources: Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/; the factor of the rate:
// Liu et al. 2025, "Muon is Scalable for LLM Training", arXiv:2502.16982, section 2.2.
#pragma once

#include <vector>

#include "trainer/optim/optimizer.h"

namespace mayfly {

struct MuonSettings {
  double momentum = 0.95;
  double weight_decay = 0.0;
};

class Muon : public Optimizer {
 public:
  // `matrices`: the views of `values` that are made orthogonal, each (rows, columns).
  // REQUIRES: each has two dimensions.
  Muon(const MuonSettings& settings, const at::Tensor& values,
       const std::vector<at::Tensor>& matrices);

  void step(const at::Tensor& values, const at::Tensor& gradients, double learning_rate) override;
  std::vector<Moment> moments() const override;
  void set_steps(std::int64_t) override {}  // no step depends on their number

 private:
  struct Place {
    std::int64_t offset, rows, columns;
  };

  MuonSettings settings_;
  at::Tensor momentum_;
  std::vector<Place> places_;
};

}  // namespace mayfly
