#include "trainer/nn/lora.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include <ATen/ops/empty.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include "core/model/safetensors.h"
#include "trainer/nn/row_norms.h"
#include "trainer/ops/random.h"

namespace mayfly {

double LoraShape::scale() const {
  const auto r = static_cast<double>(rank);
  return alpha / (use_rslora ? std::sqrt(r) : r);
}

std::vector<Projection> projections_of(const Architecture& architecture, InputGroup group) {
  const bool fused = architecture.fused_projections;
  switch (group) {
    case InputGroup::attention_in:
      if (fused) return {Projection::qkv};
      return {Projection::q, Projection::k, Projection::v};
    case InputGroup::attention_out:
      return {Projection::o};
    case InputGroup::mlp_in:
      if (fused) return {Projection::gate_up};
      if (!architecture.has_gate) return {Projection::fc1};
      return {Projection::gate, Projection::up};
    case InputGroup::mlp_out:
      return {architecture.has_gate ? Projection::down : Projection::fc2};
  }
  return {};
}

// The flat buffers hold, per layer and group, the A of the group one below the other, then each B
// and each magnitude: so the stacked A is one view.
LoraAdapter::LoraAdapter(const Architecture& architecture, LoraShape shape, at::Device device,
                         at::ScalarType type)
    : shape_(std::move(shape)) {
  const auto adapted = [&](Projection projection) {
    return std::find(shape_.targets.begin(), shape_.targets.end(), projection) !=
           shape_.targets.end();
  };
  std::int64_t size = 0;
  for (std::int64_t layer = 0; layer < architecture.layers; ++layer) {
    for (const InputGroup group : kInputGroups) {
      std::vector<Place> as, bs, ms;
      for (const Projection projection : projections_of(architecture, group)) {
        if (!adapted(projection)) continue;
        as.push_back(
            {layer, projection, 'A', 0, shape_.rank, projection_inputs(architecture, projection)});
        bs.push_back(
            {layer, projection, 'B', 0, projection_outputs(architecture, projection), shape_.rank});
        if (shape_.use_dora) ms.push_back({layer, projection, 'm', 0, bs.back().rows, 1});
      }
      for (std::vector<Place>* const factors : {&as, &bs, &ms}) {
        for (Place& place : *factors) {
          place.offset = size;
          size += place.rows * place.columns;
        }
      }
      for (std::size_t i = 0; i < as.size(); ++i) {
        places_.push_back(as[i]);
        places_.push_back(bs[i]);
        if (shape_.use_dora) places_.push_back(ms[i]);
      }
    }
  }
  values_ = at::zeros({size}, at::TensorOptions().dtype(at::kFloat).device(device));
  gradients_ = at::zeros_like(values_);
  computed_ = values_.to(type);  // the same tensor for float32
  make_groups(architecture);
}

void LoraAdapter::make_groups(const Architecture& architecture) {
  groups_.resize(static_cast<std::size_t>(architecture.layers));
  for (std::int64_t layer = 0; layer < architecture.layers; ++layer) {
    for (const InputGroup group : kInputGroups) {
      LoraGroup& result = groups_[static_cast<std::size_t>(layer)][static_cast<std::size_t>(group)];
      result.scale = shape_.scale();
      for (const Projection projection : projections_of(architecture, group)) {
        result.B.emplace_back();
        result.B_gradient.emplace_back();
        if (shape_.use_dora) {
          for (auto* const row : {&result.c, &result.row_norm, &result.magnitude_gradient}) {
            row->emplace_back();
          }
        }
        for (const Place& place : places_) {
          if (place.layer != layer || place.projection != projection) continue;
          if (place.factor == 'B') {
            result.B.back() = view(computed_, place);
            result.B_gradient.back() = view(gradients_, place);
            if (shape_.use_dora) add_magnitude(layer, projection, result);
          } else if (!result.A.defined()) {  // the first of the stack; the others follow it
            Place stack = place;
            stack.rows = stacked_rows(layer, projections_of(architecture, group));
            result.A = view(computed_, stack);
            result.A_gradient = view(gradients_, stack);
          }
        }
      }
    }
  }
}

std::int64_t LoraAdapter::stacked_rows(std::int64_t layer,
                                       const std::vector<Projection>& members) const {
  std::int64_t rows = 0;
  for (const Place& place : places_) {
    const bool member =
        std::find(members.begin(), members.end(), place.projection) != members.end();
    if (place.layer == layer && place.factor == 'A' && member) rows += place.rows;
  }
  return rows;
}

at::Tensor LoraAdapter::view(const at::Tensor& flat, const Place& place) const {
  const at::Tensor part = flat.narrow(0, place.offset, place.rows * place.columns);
  return place.factor == 'm' ? part : part.view({place.rows, place.columns});
}

const LoraAdapter::Place& LoraAdapter::place_of(std::int64_t layer, Projection projection,
                                                char factor) const {
  return *std::find_if(places_.begin(), places_.end(), [&](const Place& place) {
    return place.layer == layer && place.projection == projection && place.factor == factor;
  });
}

// The views that the group computes with, and what they are measured from.
void LoraAdapter::add_magnitude(std::int64_t layer, Projection projection, LoraGroup& group) {
  const Place& place = place_of(layer, projection, 'm');
  const at::Tensor magnitude = view(values_, place);
  group.c.back() = at::ones_like(magnitude, computed_.options());
  group.row_norm.back() = at::ones_like(magnitude);
  group.magnitude_gradient.back() = view(gradients_, place);
  decomposed_.push_back({.layer = layer,
                         .projection = projection,
                         .A = view(values_, place_of(layer, projection, 'A')),
                         .B = view(values_, place_of(layer, projection, 'B')),
                         .magnitude = magnitude,
                         .row_norm = group.row_norm.back(),
                         .c = group.c.back()});
}

void LoraAdapter::set_base(const DecoderWeights& weights) {
  for (Decomposed& each : decomposed_) {
    each.weight = weights.blocks[static_cast<std::size_t>(each.layer)][each.projection];
    each.squared = squared_row_norms(each.weight);
  }
  refresh();
}

void LoraAdapter::start_magnitudes() {
  for (const Decomposed& each : decomposed_) each.magnitude.copy_(each.row_norm);
  refresh();
}

std::vector<NamedTensor> LoraAdapter::named(const at::Tensor& flat) const {
  std::vector<NamedTensor> result;
  for (const Place& place : places_) {
    result.push_back(
        {adapter_tensor_name(place.layer, place.projection, place.factor), view(flat, place)});
  }
  return result;
}

void LoraAdapter::refresh() {
  if (!computed_.is_same(values_)) computed_.copy_(values_);
  for (const Decomposed& each : decomposed_) {
    if (!each.squared.defined()) continue;  // before set_base()
    each.row_norm.copy_(
        adapted_row_norms(each.weight, each.squared, each.A, each.B, shape_.scale()));
    each.c.copy_(each.magnitude.div(each.row_norm));
  }
}

LoraAdapter LoraAdapter::create(const Architecture& architecture, const LoraShape& shape,
                                std::uint64_t seed, at::Device device, at::ScalarType type) {
  LoraAdapter adapter(architecture, shape, device, type);
  for (std::size_t i = 0; i < adapter.places_.size(); ++i) {
    const Place& place = adapter.places_[i];
    if (place.factor != 'A') continue;
    // Always on the CPU, so that a seed means the same adapter on every device.
    const double bound = 1.0 / std::sqrt(static_cast<double>(place.columns));
    const at::Tensor values =
        at::empty({place.rows, place.columns}, at::kFloat)
            .uniform_(-bound, bound, seeded_generator(at::kCPU, derive_seed(seed, i)));
    adapter.view(adapter.values_, place).copy_(values);
  }
  adapter.refresh();
  return adapter;
}

}  // namespace mayfly
