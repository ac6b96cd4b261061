// What differs between the device and the host emulator: starting a kernel, shared memory, access
// to global memory. The very same kernel source is compiled for both, so it is tested where there
// is no GPU. Kernels touch global memory through `load` and `store`
// alone, which the emulator checks and counts.
#pragma once

#ifdef __CUDACC__

#include <cstring>

#include <cuda_runtime.h>

#include "cuda/stream.h"

namespace mayfly::cuda {

// Declared __shared__. Not initialised.
template <class T, int n>
struct Shared {
  T items[n];
  __device__ T& operator[](int i) {
    return items[i];
  }
};

// Numbers that are loaded and stored at once; at most 16 bytes.
template <class T, int n>
struct alignas(sizeof(T) * n) Pack {
  T at[n];
};

// `from` is aligned to the whole pack. 16 bytes go as one instruction, whatever they consist of.
template <int n = 1, class T>
__device__ inline Pack<T, n> load(const T* from) {
  __builtin_assume(__isGlobal(from));  // where it is chosen between two, nvcc does not see it
  if constexpr (sizeof(Pack<T, n>) == sizeof(uint4)) {
    const uint4 bits = *reinterpret_cast<const uint4*>(from);
    Pack<T, n> value;
    memcpy(&value, &bits, sizeof value);
    return value;
  } else {
    return *reinterpret_cast<const Pack<T, n>*>(from);
  }
}

template <class T, int n>
__device__ inline void store(T* to, Pack<T, n> value) {
  __builtin_assume(__isGlobal(to));
  if constexpr (sizeof(value) == sizeof(uint4)) {
    uint4 bits;
    memcpy(&bits, &value, sizeof value);
    // nvcc 13.0 splits an assignment into four stores in some kernels (see cuda/compiled.tsv).
    asm volatile("st.global.v4.u32 [%0], {%1, %2, %3, %4};" ::"l"(__cvta_generic_to_global(to)),
                 "r"(bits.x), "r"(bits.y), "r"(bits.z), "r"(bits.w)
                 : "memory");
  } else {
    *reinterpret_cast<Pack<T, n>*>(to) = value;
  }
}

// `blocks` >= 1. Returns the launch's error; what goes wrong inside the kernel shows at the next
// synchronisation. Does not wait.
template <class... P, class... A>
Error launch(void (*kernel)(P...), std::int64_t blocks, int threads, Stream stream, A... args) {
  if (blocks > kMostBlocks) return kInvalidValue;
  kernel<<<static_cast<unsigned>(blocks), static_cast<unsigned>(threads), 0,
           static_cast<cudaStream_t>(stream)>>>(static_cast<P>(args)...);
  return cudaGetLastError();
}

}  // namespace mayfly::cuda

#else
#include "tests/cuda/emulator.h"
#endif
