// What a file of loops needs to become vector instructions: functions compiled for several
// instruction sets and chosen when the program starts, and the numbers of the loops.
//
// A loop is written once as an always-inlined template and instantiated in functions that the
// compiler clones per instruction set; a clone cannot be a template itself.
#pragma once

#include <bit>
#include <cstdint>

#include "trainer/ops/row_kernels.h"

#define MAYFLY_INLINE [[gnu::always_inline]] inline
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define MAYFLY_CLONES [[gnu::target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")]]
#else
#define MAYFLY_CLONES
#endif

namespace mayfly {

MAYFLY_INLINE float load(float value) {
  return value;
}
MAYFLY_INLINE float load(Bf16 value) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(value) << 16);
}

template <class T>
T rounded(float value);
template <>
MAYFLY_INLINE float rounded<float>(float value) {
  return value;
}
// To nearest, ties to even. A NaN stays one: those of arithmetic have their low bits clear.
template <>
MAYFLY_INLINE Bf16 rounded<Bf16>(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  return static_cast<Bf16>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

}  // namespace mayfly
