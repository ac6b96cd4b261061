// A linear layer that is not trained, weight and, if it has one, bias. The weight is kept as it is
// computed with, or in four bits and restored when it is wanted (QLoRA).
//
// All quantised weights of a model share one scratch of the largest one's size: so a restored
// matrix holds until the next matrix() of any of them, and each product must come before it. On a
// GPU that is in the order of the stream.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>

#include <ATen/core/Tensor.h>

#include "trainer/ops/nf4.h"

namespace mayfly {

class FrozenWeight {
 public:
  FrozenWeight() = default;
  // NOLINTNEXTLINE(google-explicit-constructor): a plain weight is the usual case
  FrozenWeight(at::Tensor dense) : dense_(std::move(dense)) {}
  // `scratch` (at least rows · columns), in the type to restore to.
  FrozenWeight(Nf4Weight packed, at::Tensor scratch)
      : dense_(std::move(scratch)), packed_(std::move(packed)) {}

  // (outputs), in the type of computing; undefined: the layer has none.
  const at::Tensor& bias() const {
    return bias_;
  }
  void set_bias(at::Tensor bias) {
    bias_ = std::move(bias);
  }

  // (outputs, inputs). Costs the restoring of a quantised weight, else nothing.
  at::Tensor matrix() const {
    if (!packed_) return dense_;
    at::Tensor out = dense_.narrow(0, 0, packed_->count()).view({packed_->rows, packed_->columns});
    nf4_restore(*packed_, out);
    return out;
  }

  // Of the weight as it is kept, without the scratch.
  std::int64_t bytes() const {
    const std::int64_t bias = bias_.defined() ? bias_.numel() * bias_.element_size() : 0;
    return bias + (packed_ ? packed_->bytes() : dense_.numel() * dense_.element_size());
  }
  const std::optional<Nf4Weight>& packed() const {
    return packed_;
  }

 private:
  at::Tensor dense_;  // of a quantised weight: the scratch
  std::optional<Nf4Weight> packed_;
  at::Tensor bias_;
};

}  // namespace mayfly
