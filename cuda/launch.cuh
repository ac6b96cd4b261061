// Starts a kernel: on the device when nvcc compiles this file, on the host emulator otherwise, so
// that the very same kernel source is tested where there is no GPU. The only file that asks which.
#pragma once

#ifdef __CUDACC__

#include <cuda_runtime.h>

namespace mayfly::cuda {

// `blocks` >= 1. Returns the launch's error; what goes wrong inside the kernel shows at the next
// synchronisation. Does not wait.
template <class... P, class... A>
cudaError_t launch(void (*kernel)(P...), int blocks, int threads, cudaStream_t stream, A... args) {
  kernel<<<static_cast<unsigned>(blocks), static_cast<unsigned>(threads), 0, stream>>>(
      static_cast<P>(args)...);
  return cudaGetLastError();
}

}  // namespace mayfly::cuda

#else
#include "tests/cuda/emulator.h"
#endif
