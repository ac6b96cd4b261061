#include "trainer/optim/muon.h"

#include <algorithm>
#include <cassert>
#include <cmath>

#include <ATen/ops/addmm.h>
#include <ATen/ops/lerp.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/zeros_like.h>

namespace mayfly {

namespace {

constexpr int kNewtonSchulzSteps = 5;
constexpr double kSmallestNorm = 1e-7;

// (rows, columns) -> the same, in bfloat16. The coefficients are Jordan's, steepest at 0.
at::Tensor orthogonal(const at::Tensor& matrix) {
  const bool is_tall = matrix.size(0) > matrix.size(1);
  at::Tensor x = matrix.to(at::kBFloat16);
  if (is_tall) x = x.t();  // the square of its shorter side is cheaper
  x.div_(x.norm().clamp_min(kSmallestNorm));
  for (int i = 0; i < kNewtonSchulzSteps; ++i) {
    const at::Tensor square = at::mm(x, x.t());
    x = at::addmm(x, at::addmm(square, square, square, -4.7750, 2.0315), x, 3.4445);
  }
  return is_tall ? x.t() : x;
}

}  // namespace

Muon::Muon(const MuonSettings& settings, const at::Tensor& values,
           const std::vector<at::Tensor>& matrices)
    : settings_(settings), momentum_(at::zeros_like(values)) {
  for (const at::Tensor& matrix : matrices) {
    assert(matrix.dim() == 2 && matrix.is_contiguous());
    places_.push_back({matrix.storage_offset(), matrix.size(0), matrix.size(1)});
  }
}

void Muon::step(const at::Tensor& values, const at::Tensor& gradients, double learning_rate) {
  momentum_.lerp_(gradients, 1.0 - settings_.momentum);
  const at::Tensor update = at::lerp(gradients, momentum_, settings_.momentum);
  values.mul_(1.0 - learning_rate * settings_.weight_decay);
  for (const Place& place : places_) {
    const auto part = [&](const at::Tensor& flat) {
      return flat.narrow(0, place.offset, place.rows * place.columns)
          .view({place.rows, place.columns});
    };
    const auto longer = static_cast<double>(std::max(place.rows, place.columns));
    part(values).add_(orthogonal(part(update)), -learning_rate * 0.2 * std::sqrt(longer));
  }
}

std::vector<Optimizer::Moment> Muon::moments() const {
  return {{"momentum", momentum_}};
}

}  // namespace mayfly
