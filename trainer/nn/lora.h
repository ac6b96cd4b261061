// The adapter: for each adapted linear layer W (outputs, inputs) two factors, and
//
//   y = x Wᵀ + scale · (dropout(x) Aᵀ) Bᵀ,   A (R, inputs), B (outputs, R),
//   scale = alpha / R, or alpha / sqrt(R) with use_rslora;
//
// with use_dora a magnitude m (outputs) more, by which the rows of W + scale · B A are as long
// (ops/lora_linear.h).
//
// Source: Hu et al. 2021, "LoRA: Low-Rank Adaptation of Large Language Models", arXiv:2106.09685;
// names, start values and files as peft 0.21 has them.
//
// All factors are views of one flat float32 buffer and their gradients of a second one, so norm,
// clipping, optimizer and a reduction over GPUs are one call each. Where computing is in another
// type, a third buffer holds the values rounded to it.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "core/config/lora_config.h"
#include "core/model/architecture.h"
#include "core/model/weight_names.h"
#include "core/result.h"
#include "trainer/nn/weights.h"
#include "trainer/ops/lora_linear.h"

namespace mayfly {

// What adapter_config.json says of an adapter, as far as it changes the arithmetic.
struct LoraShape {
  std::int64_t rank = 0;
  double alpha = 0;
  double dropout = 0;
  bool use_rslora = false;
  bool use_dora = false;
  std::vector<Projection> targets;  // in table order

  double scale() const;
};

// Errors: unsupported (biases, patterns and what else peft knows and we do not compute),
// corrupt, invalid_config (unknown targets), not_found.
Result<LoraShape> lora_shape_from(const LoraConfig& config, const Architecture& architecture);
Result<LoraShape> read_lora_shape(const std::filesystem::path& adapter_dir,
                                  const Architecture& architecture);

// Projections that read the same input, in table order: one node of the backward pass.
enum class InputGroup { attention_in, attention_out, mlp_in, mlp_out };
inline constexpr std::array kInputGroups = {InputGroup::attention_in, InputGroup::attention_out,
                                            InputGroup::mlp_in, InputGroup::mlp_out};
std::vector<Projection> projections_of(const Architecture& architecture, InputGroup group);

struct NamedTensor {
  std::string name;
  at::Tensor value;
};

class LoraAdapter {
 public:
  // A from U(-1/sqrt(inputs), 1/sqrt(inputs)) (peft's kaiming_uniform_ with a = sqrt 5), each
  // tensor from its own stream of `seed`; B zero; magnitudes for start_magnitudes().
  static LoraAdapter create(const Architecture& architecture, const LoraShape& shape,
                            std::uint64_t seed, at::Device device, at::ScalarType type);
  // The values of `<adapter_dir>/adapter_model.safetensors`; the shape is that folder's too.
  // Errors as read_lora_shape; corrupt for tensors that are missing, misshapen or too many.
  static Result<LoraAdapter> read(const Architecture& architecture,
                                  const std::filesystem::path& adapter_dir, at::Device device,
                                  at::ScalarType type);

  const LoraShape& shape() const {
    return shape_;
  }
  // DoRA's only, before anything is computed: the weights that are adapted, which are held from now
  // on. start_magnitudes() makes the rows of the adapted weights as long as they are.
  void set_base(const DecoderWeights& weights);
  void start_magnitudes();
  // Flat, float32. After writing to values(), call refresh().
  const at::Tensor& values() const {
    return values_;
  }
  const at::Tensor& gradients() const {
    return gradients_;
  }
  // Takes changed values into the copy that is computed with; no-op where that is the same. With a
  // base (DoRA) it also measures the adapted rows anew (row_norms.h).
  void refresh();

  // Views of a flat buffer as large as values() (values, gradients, moments of an optimizer) under
  // the tensors' names, in the order of peft's named_parameters: by layer, projection, A, B,
  // magnitude.
  std::vector<NamedTensor> named(const at::Tensor& flat) const;

  // The adapters of the projections of `layer` that share their input, for ops/lora_linear.h.
  // Valid as long as this object.
  const LoraGroup& group(std::int64_t layer, InputGroup group) const {
    return groups_[static_cast<std::size_t>(layer)][static_cast<std::size_t>(group)];
  }

 private:
  struct Place {
    std::int64_t layer;
    Projection projection;
    char factor;  // as in adapter_tensor_name
    std::int64_t offset, rows, columns;
  };
  // What DoRA knows of one adapted weight.
  struct Decomposed {
    std::int64_t layer;
    Projection projection;
    at::Tensor A, B, magnitude;  // views of values_
    at::Tensor row_norm, c;      // the group's
    FrozenWeight weight = {};
    at::Tensor squared = {};  // of its rows' norms
  };

  LoraAdapter(const Architecture& architecture, LoraShape shape, at::Device device,
              at::ScalarType type);
  void make_groups(const Architecture& architecture);
  std::int64_t stacked_rows(std::int64_t layer, const std::vector<Projection>& members) const;
  at::Tensor view(const at::Tensor& flat, const Place& place) const;
  // One that is there.
  const Place& place_of(std::int64_t layer, Projection projection, char factor) const;
  void add_magnitude(std::int64_t layer, Projection projection, LoraGroup& group);

  LoraShape shape_;
  std::vector<Place> places_;  // in the order of named()
  at::Tensor values_, gradients_, computed_;
  std::vector<std::array<LoraGroup, kInputGroups.size()>> groups_;
  std::vector<Decomposed> decomposed_;  // with use_dora
};

}  // namespace mayfly
