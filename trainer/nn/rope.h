// Rotary positions: the angle of each pair of a head's elements at each position.
//
// Source: Su et al. 2021, "RoFormer", arXiv:2104.09864; frequencies and their scaling as in
// transformers 5.23, modeling_rope_utils.py.
#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

#include "core/model/architecture.h"

namespace mayfly {

// E/2 angles a position, in radians, of heads `width` wide: float32, on the CPU.
at::Tensor rope_frequencies(const RopeSettings& settings, std::int64_t width);

// Cosines and sines by position, in the type of computing, as transformers rounds them.
struct RopeRows {
  at::Tensor cosine, sine;  // (N, E/2)
};

// Of a model's layers.
struct LayerRopes {
  RopeRows all, local;  // local: undefined where no layer has a rope of its own
  const RopeRows& of(const LayerChoice& layer) const {
    return layer.has_local_rope ? local : all;
  }
};

class RopeTable {
 public:
  RopeTable(const Architecture& architecture, at::Device device, at::ScalarType type);

  // For `positions` (N) int64; any position >= 0.
  LayerRopes rows(const at::Tensor& positions) const;

 private:
  at::Tensor all_, local_;
  at::ScalarType type_;
};

}  // namespace mayfly
