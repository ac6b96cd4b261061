#include "trainer/nn/rope.h"

#include <cmath>
#include <numbers>

#include <ATen/ops/empty.h>
#include <ATen/ops/outer.h>

namespace mayfly {

namespace {

// Llama 3: wavelengths beyond the original context are stretched by `factor`, short ones stay, and
// between the two limits the frequency moves smoothly from one to the other.
float scaled(float frequency, const RopeScaling& scaling) {
  if (scaling.factor == 1.0) return frequency;
  const double wavelength = 2.0 * std::numbers::pi / static_cast<double>(frequency);
  const double low_wavelength = scaling.original_positions / scaling.low_frequency_factor;
  const double high_wavelength = scaling.original_positions / scaling.high_frequency_factor;
  if (wavelength < high_wavelength) return frequency;
  const double stretched = static_cast<double>(frequency) / scaling.factor;
  if (wavelength > low_wavelength) return static_cast<float>(stretched);
  const double smooth = (scaling.original_positions / wavelength - scaling.low_frequency_factor) /
                        (scaling.high_frequency_factor - scaling.low_frequency_factor);
  return static_cast<float>((1.0 - smooth) * stretched + smooth * static_cast<double>(frequency));
}

}  // namespace

at::Tensor rope_frequencies(const Architecture& architecture) {
  const std::int64_t half = architecture.head_width / 2;
  at::Tensor frequencies = at::empty({half}, at::kFloat);
  float* const values = frequencies.mutable_data_ptr<float>();
  for (std::int64_t i = 0; i < half; ++i) {
    // Rounded to float32 after each operation, as in the reference.
    const float exponent = static_cast<float>(2 * i) / static_cast<float>(architecture.head_width);
    const float frequency = 1.0f / std::pow(static_cast<float>(architecture.rope_theta), exponent);
    values[i] = scaled(frequency, architecture.rope_scaling);
  }
  return frequencies;
}

RopeTable::RopeTable(const Architecture& architecture, at::Device device, at::ScalarType type)
    : frequencies_(rope_frequencies(architecture).to(device)), type_(type) {}

RopeRows RopeTable::rows(const at::Tensor& positions) const {
  const at::Tensor angles = at::outer(positions.to(at::kFloat), frequencies_);
  return {angles.cos().to(type_), angles.sin().to(type_)};
}

}  // namespace mayfly
