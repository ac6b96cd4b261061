// The two tables of NF4: the sixteen values of a weight, and the 256 of a weight's scale.
//
// Source   bitsandbytes 0.50.2, functional.py: create_normal_map's result, which QLoRA (Dettmers et
//          al. 2023, arXiv:2305.14314) prints, and create_dynamic_map(signed=True).
#pragma once

#include <algorithm>
#include <array>
#include <cmath>

namespace mayfly::cuda {

inline constexpr int kNf4Block = 64;        // weights that share a scale, when we quantise
inline constexpr int kNf4ScaleBlock = 256;  // scales that share a scale
inline constexpr float kNf4LeastAbsmax =
    1e-38f;  // bitsandbytes': a block of zeros is divided by it

// A plain array: device code may not call std::array's functions.
struct Nf4Code {
  float at[16];
};
inline constexpr Nf4Code kNf4Code = {{
    -1.0f,
    -0.6961928009986877f,
    -0.5250730514526367f,
    -0.39491748809814453f,
    -0.28444138169288635f,
    -0.18477343022823334f,
    -0.09105003625154495f,
    0.0f,
    0.07958029955625534f,
    0.16093020141124725f,
    0.24611230194568634f,
    0.33791524171829224f,
    0.44070982933044434f,
    0.5626170039176941f,
    0.7229568362236023f,
    1.0f,
}};

// bitsandbytes' signed dynamic map of eight bits, sorted, to the last bit but one; a checkpoint
// brings its own copy. Seven decades; in decade i the middles of 2^i equal parts of [0.1, 1], times
// 10^(i - 6), of both signs; and 0 and 1. torch.linspace, with which bitsandbytes makes it, differs
// in the last bit from one processor to another.
inline std::array<float, 256> nf4_scale_code() {
  std::array<float, 256> code{};  // 2 · (1 + 2 + ... + 64) of the decades, 0, and:
  code[1] = 1.0f;
  std::size_t size = 2;
  for (int i = 0; i < 7; ++i) {
    const int parts = 1 << i;
    const float step = (1.0f - 0.1f) / static_cast<float>(parts);
    const auto boundary = [&](int k) {
      return k < (parts + 1) / 2 ? 0.1f + step * static_cast<float>(k)
                                 : 1.0f - step * static_cast<float>(parts - k);
    };
    const double decade = std::pow(10.0, i - 6);
    for (int k = 0; k < parts; ++k) {
      const float middle = (boundary(k) + boundary(k + 1)) / 2.0f;
      const float value = static_cast<float>(decade) * middle;
      code[size++] = value;
      code[size++] = -value;
    }
  }
  std::sort(code.begin(), code.end());
  return code;
}

}  // namespace mayfly::cuda
