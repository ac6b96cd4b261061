// Rotary positions: the angle of each pair of a head's elements at each position.
//
// Source: Su et al. 2021, "RoFormer", arXiv:2104.09864; frequencies and their scaling as in
// transformers 5.23, modeling_rope_utils.py.
#pragma once

#include <cstdint>
#include <span>

#include <ATen/core/Tensor.h>

#include "core/model/architecture.h"

namespace mayfly {

// R/2 angles a position, in radians, of heads of which R = `width` elements turn: float32, on the
// CPU. `is_long`: of longrope, for texts beyond those of the training.
at::Tensor rope_frequencies(const RopeSettings& settings, std::int64_t width, bool is_long = false);

// Cosines and sines by position, in the type of computing, as transformers rounds them.
struct RopeRows {
  at::Tensor cosine, sine;  // (N, R/2)
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

  // For `positions` (N) int64, any >= 0, of documents that begin at `starts` (one more: N). A
  // document is as long as its last position says.
  LayerRopes rows(const at::Tensor& positions, std::span<const std::int64_t> starts) const;
  // Whether all positions of a text turn otherwise as soon as it has `length` tokens.
  bool changes_at(std::int64_t length) const;

 private:
  // One that may have other angles in long documents.
  struct Angles {
    at::Tensor frequencies, in_long;  // in_long: undefined where there are none
    double original_positions = 0;
    double amplitude = 1.0;
  };
  static Angles angles_of(const RopeSettings& settings, std::int64_t width, at::Device device);
  RopeRows turned_by(const Angles& angles, const at::Tensor& positions,
                     std::span<const std::int64_t> starts) const;

  Angles all_, local_;
  bool backwards_;
  at::ScalarType type_;
};

}  // namespace mayfly
