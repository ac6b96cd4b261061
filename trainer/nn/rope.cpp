#include "trainer/nn/rope.h"

#include <cmath>
#include <numbers>

#include <ATen/ops/empty.h>
#include <ATen/ops/outer.h>

namespace mayfly {

namespace {

// Llama 3: wavelengths beyond the original context are stretched by `factor`, short ones stay, and
// between the two limits the frequency moves smoothly from one to the other.
float llama3(float frequency, const RopeSettings& settings) {
  const double wavelength = 2.0 * std::numbers::pi / static_cast<double>(frequency);
  const double low_wavelength = settings.original_positions / settings.low_frequency_factor;
  const double high_wavelength = settings.original_positions / settings.high_frequency_factor;
  if (wavelength < high_wavelength) return frequency;
  const double stretched = static_cast<double>(frequency) / settings.factor;
  if (wavelength > low_wavelength) return static_cast<float>(stretched);
  const double smooth = (settings.original_positions / wavelength - settings.low_frequency_factor) /
                        (settings.high_frequency_factor - settings.low_frequency_factor);
  return static_cast<float>((1.0 - smooth) * stretched + smooth * static_cast<double>(frequency));
}

float scaled(float frequency, const RopeSettings& settings) {
  switch (settings.scaling) {
    case RopeScaling::none:
      return frequency;
    case RopeScaling::linear:
      return frequency / static_cast<float>(settings.factor);
    case RopeScaling::llama3:
      return llama3(frequency, settings);
  }
  return frequency;
}

bool has_local_rope(const Architecture& architecture) {
  for (const LayerChoice& choice : architecture.layer_choices) {
    if (choice.has_local_rope) return true;
  }
  return false;
}

}  // namespace

at::Tensor rope_frequencies(const RopeSettings& settings, std::int64_t width) {
  at::Tensor frequencies = at::empty({width / 2}, at::kFloat);
  float* const values = frequencies.mutable_data_ptr<float>();
  for (std::int64_t i = 0; i < width / 2; ++i) {
    // Rounded to float32 after each operation, as in the reference.
    const float exponent = static_cast<float>(2 * i) / static_cast<float>(width);
    const float frequency = 1.0f / std::pow(static_cast<float>(settings.theta), exponent);
    values[i] = scaled(frequency, settings);
  }
  return frequencies;
}

RopeTable::RopeTable(const Architecture& architecture, at::Device device, at::ScalarType type)
    : all_(rope_frequencies(architecture.ropes.all, architecture.head_width).to(device)),
      type_(type) {
  if (has_local_rope(architecture)) {
    local_ = rope_frequencies(architecture.ropes.local, architecture.head_width).to(device);
  }
}

LayerRopes RopeTable::rows(const at::Tensor& positions) const {
  const auto turned_by = [&](const at::Tensor& frequencies) {
    const at::Tensor angles = at::outer(positions.to(at::kFloat), frequencies);
    return RopeRows{angles.cos().to(type_), angles.sin().to(type_)};
  };
  return {turned_by(all_), local_.defined() ? turned_by(local_) : RopeRows{}};
}

}  // namespace mayfly
