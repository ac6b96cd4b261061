// The frozen weights of a decoder, out of safetensors files.
//
// Where the file has the type we compute in and the device is the CPU, a weight is the mapped file
// itself: nothing is copied, pages are read when first used. Otherwise it is converted, or
// quantised to four bits, tensor by tensor, so that the most memory used is all weights as they are
// kept plus one tensor.
#pragma once

#include <array>
#include <filesystem>
#include <vector>

#include <ATen/core/Tensor.h>

#include "core/config/quant_config.h"
#include "core/model/architecture.h"
#include "core/model/safetensors.h"
#include "core/model/weight_names.h"
#include "core/result.h"
#include "trainer/ops/frozen_weight.h"

namespace mayfly {

// Of one half of a block; undefined where there is none.
struct HalfNorms {
  at::Tensor before, behind;  // (D)
};

struct BlockWeights {
  HalfNorms attention_norms, feed_forward_norms;
  std::array<FrozenWeight, kProjectionKinds> projections;  // (outputs, inputs) each
  at::Tensor query_norm, key_norm;  // (E) each, or (H E) and (K E); undefined: none
  const FrozenWeight& operator[](Projection projection) const {
    return projections[static_cast<std::size_t>(projection)];
  }
};

struct DecoderWeights {
  SafetensorsModel files;  // keeps mapped tensors alive
  at::Tensor embedding;    // (V, D)
  std::vector<BlockWeights> blocks;
  at::Tensor final_norm;  // (D)
  at::Tensor head;        // (V, D); the embedding itself when tied
};

// How the weights are kept. Norms, embedding and head are always in the type of computing.
struct WeightForm {
  at::Device device = at::kCPU;
  at::ScalarType type = at::kFloat;  // of computing
  QuantConfig quant = {};            // of the blocks' linear layers
};

// Linear layers that the checkpoint has in four bits stay as they are, whatever `form.quant` says.
// Errors: not_found, corrupt (missing, misshapen or damaged tensors, by name), unsupported (a
// tensor that is not F32, BF16 or F16, or quantised otherwise than NF4).
Result<DecoderWeights> load_weights(const std::filesystem::path& model_dir,
                                    const Architecture& architecture, const WeightForm& form);

}  // namespace mayfly
