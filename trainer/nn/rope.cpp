#include "trainer/nn/rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include <ATen/ops/empty.h>
#include <ATen/ops/outer.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/where.h>

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

// A pair's wavelength, without its 2 pi, becomes a frequency.
float scaled(float length, const RopeSettings& settings, std::int64_t pair, bool is_long) {
  const float frequency = 1.0f / length;
  switch (settings.scaling) {
    case RopeScaling::none:
    case RopeScaling::yarn:
      return frequency;
    case RopeScaling::linear:
      return frequency / static_cast<float>(settings.factor);
    case RopeScaling::llama3:
      return llama3(frequency, settings);
    case RopeScaling::longrope: {
      const auto& divisors = is_long ? settings.long_divisors : settings.short_divisors;
      return 1.0f / (static_cast<float>(divisors[static_cast<std::size_t>(pair)]) * length);
    }
  }
  return frequency;
}

// YaRN: from the pair that turns `fast_turns` times in the original text on, the frequencies go
// over to the stretched ones, in a line, up to the pair that turns `slow_turns` times.
void stretch_by_yarn(std::span<float> frequencies, const RopeSettings& settings) {
  const auto width = static_cast<double>(2 * frequencies.size());
  const auto pair_of = [&](double turns) {
    return width * std::log(settings.original_positions / (turns * 2 * std::numbers::pi)) /
           (2 * std::log(settings.theta));
  };
  double low = pair_of(settings.fast_turns), high = pair_of(settings.slow_turns);
  if (settings.rounds_limits) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, width - 1);
  if (low == high) high += 0.001;
  const auto factor = static_cast<float>(settings.factor);
  for (std::size_t i = 0; i < frequencies.size(); ++i) {
    const float along =
        (static_cast<float>(i) - static_cast<float>(low)) / static_cast<float>(high - low);
    const float stays = 1.0f - std::clamp(along, 0.0f, 1.0f);
    const float stretched = frequencies[i] / factor;
    frequencies[i] = stretched * (1.0f - stays) + frequencies[i] * stays;
  }
}

bool has_local_rope(const Architecture& architecture) {
  for (const LayerChoice& choice : architecture.layer_choices) {
    if (choice.has_local_rope) return true;
  }
  return false;
}

}  // namespace

at::Tensor rope_frequencies(const RopeSettings& settings, std::int64_t width, bool is_long) {
  at::Tensor frequencies = at::empty({width / 2}, at::kFloat);
  float* const values = frequencies.mutable_data_ptr<float>();
  for (std::int64_t i = 0; i < width / 2; ++i) {
    // Rounded to float32 after each operation, as in the reference.
    const float exponent = static_cast<float>(2 * i) / static_cast<float>(width);
    const float length = std::pow(static_cast<float>(settings.theta), exponent);
    values[i] = scaled(length, settings, i, is_long);
  }
  if (settings.scaling == RopeScaling::yarn) {
    stretch_by_yarn({values, static_cast<std::size_t>(width / 2)}, settings);
  }
  return frequencies;
}

RopeTable::Angles RopeTable::angles_of(const RopeSettings& settings, std::int64_t width,
                                       at::Device device) {
  Angles angles{.frequencies = rope_frequencies(settings, width).to(device),
                .in_long = {},
                .original_positions = settings.original_positions,
                .amplitude = settings.amplitude};
  if (settings.scaling == RopeScaling::longrope) {
    angles.in_long = rope_frequencies(settings, width, true).to(device);
  }
  return angles;
}

RopeTable::RopeTable(const Architecture& architecture, at::Device device, at::ScalarType type)
    : all_(angles_of(architecture.ropes.all, architecture.turned_width(), device)),
      backwards_(architecture.turns_backwards),
      type_(type) {
  if (has_local_rope(architecture)) {
    local_ = angles_of(architecture.ropes.local, architecture.turned_width(), device);
  }
}

RopeRows RopeTable::turned_by(const Angles& angles, const at::Tensor& positions,
                              std::span<const std::int64_t> starts) const {
  const at::Tensor at = positions.to(at::kFloat);
  at::Tensor turned = at::outer(at, angles.frequencies);
  if (angles.in_long.defined()) {
    const at::Tensor edges = at::tensor(starts, positions.options());
    const at::Tensor firsts = edges.slice(0, 0, -1), ends = edges.slice(0, 1);
    const at::Tensor is_long =
        positions.index_select(0, ends.sub(1)).add(1).gt(angles.original_positions);
    turned = at::where(is_long.repeat_interleave(ends.sub(firsts)).unsqueeze(1),
                       at::outer(at, angles.in_long), turned);
  }
  at::Tensor cosine = turned.cos(), sine = turned.sin();
  if (angles.amplitude != 1.0) {
    cosine.mul_(angles.amplitude);
    sine.mul_(angles.amplitude);
  }
  if (backwards_) sine.neg_();
  return {cosine.to(type_), sine.to(type_)};
}

bool RopeTable::changes_at(std::int64_t length) const {
  const auto is_first_long = [length](const Angles& angles) {
    return angles.in_long.defined() && static_cast<double>(length - 1) == angles.original_positions;
  };
  return is_first_long(all_) || is_first_long(local_);
}

LayerRopes RopeTable::rows(const at::Tensor& positions,
                           std::span<const std::int64_t> starts) const {
  const bool has_local = local_.frequencies.defined();
  return {turned_by(all_, positions, starts),
          has_local ? turned_by(local_, positions, starts) : RopeRows{}};
}

}  // namespace mayfly
