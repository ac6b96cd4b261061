// The number types that kernels read and write: float, Bf16, Fp16. The two short ones are bits and
// nothing else; all arithmetic is in float, and rounding is to nearest, ties to even. So bfloat16
// works on a T4 (sm_75) too, whose tensor cores do not know it.
//
// The conversions here are for the host; kernels have those of convert.cuh.
#pragma once

#include <bit>
#include <cstdint>
#include <type_traits>

namespace mayfly::cuda {

struct Bf16 {
  std::uint16_t bits;
};
struct Fp16 {
  std::uint16_t bits;
};

inline float to_float(float value) {
  return value;
}

inline float to_float(Bf16 value) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(value.bits) << 16);
}

inline float to_float(Fp16 value) {
  const std::uint32_t sign = static_cast<std::uint32_t>(value.bits & 0x8000u) << 16;
  const std::uint32_t rest = value.bits & 0x7fffu;
  if (rest >= 0x7c00u) {  // infinity and NaN
    return std::bit_cast<float>(sign | 0x7f800000u | (rest & 0x3ffu) << 13);
  }
  // The exponent's bias is 15 there and 127 here; numbers below the normal ones are a count of
  // 2^-24, which float holds exactly.
  const float size = rest < 0x400u ? static_cast<float>(rest) * 0x1p-24f
                                   : std::bit_cast<float>((rest << 13) + (112u << 23));
  return sign != 0 ? -size : size;
}

template <class T>
T from_float(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if constexpr (std::is_same_v<T, float>) {
    return value;
  } else if constexpr (std::is_same_v<T, Bf16>) {
    if (value != value) return {static_cast<std::uint16_t>((bits >> 16) | 0x40u)};
    return {static_cast<std::uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16)};
  } else {
    static_assert(std::is_same_v<T, Fp16>);
    const std::uint32_t sign = (bits >> 16) & 0x8000u;
    const float size = std::bit_cast<float>(bits & 0x7fffffffu);
    std::uint32_t rest;
    if (value != value) {
      rest = 0x7e00u;
    } else if (size >= 65520.0f) {  // rounds past the largest, 65504
      rest = 0x7c00u;
    } else if (size < 0x1p-14f) {
      // Adding 0.5 leaves a unit of 2^-24 in the last place: float's own rounding does it.
      rest = std::bit_cast<std::uint32_t>(size + 0.5f) - std::bit_cast<std::uint32_t>(0.5f);
    } else {
      const std::uint32_t whole = std::bit_cast<std::uint32_t>(size) - (112u << 23);
      rest = (whole + 0xfffu + ((whole >> 13) & 1u)) >> 13;
    }
    return {static_cast<std::uint16_t>(sign | rest)};
  }
}

}  // namespace mayfly::cuda
