// Between float and the types of number.h inside a kernel: the processor's own instructions on the
// device (bfloat16 from sm_80 on, by integer arithmetic before), number.h in the emulator.
#pragma once

#include "cuda/launch.cuh"
#include "cuda/number.h"

#ifdef __CUDACC__
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#endif

namespace mayfly::cuda {

template <class T>
__device__ inline float widen(T value) {
#ifdef __CUDACC__
  if constexpr (std::is_same_v<T, Bf16>) {
    return __uint_as_float(static_cast<unsigned>(value.bits) << 16);
  } else if constexpr (std::is_same_v<T, Fp16>) {
    return __half2float(__ushort_as_half(value.bits));
  } else {
    return value;
  }
#else
  return to_float(value);
#endif
}

template <class T>
__device__ inline T narrow(float value) {
#ifdef __CUDACC__
  if constexpr (std::is_same_v<T, Bf16>) {
#if __CUDA_ARCH__ >= 800
    return {__bfloat16_as_ushort(__float2bfloat16_rn(value))};
#else  // CUDA's own replacement needs more registers than a block of 1024 threads has
    const unsigned bits = __float_as_uint(value);
    const unsigned nearest = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
    return {static_cast<std::uint16_t>(value != value ? 0x7fffu : nearest)};
#endif
  } else if constexpr (std::is_same_v<T, Fp16>) {
    return {__half_as_ushort(__float2half_rn(value))};
  } else {
    return value;
  }
#else
  return from_float<T>(value);
#endif
}

// What `value` becomes when it is written as a T and read again.
template <class T>
__device__ inline float rounded(float value) {
  return widen(narrow<T>(value));
}

// As many T as go into 16 bytes.
template <class T>
inline constexpr int kPackOf = 16 / static_cast<int>(sizeof(T));

// Whether rows of `width` T that begin at these addresses can be read 16 bytes at a time.
template <class T, class... Pointers>
bool packs_fit(std::int64_t width, const Pointers*... rows) {
  const auto aligned = [](const void* row) {
    return reinterpret_cast<std::uintptr_t>(row) % 16 == 0;
  };
  return width % kPackOf<T> == 0 && (aligned(rows) && ...);
}

}  // namespace mayfly::cuda
