// Device arrays in a GPU's memory, for the tests and benchmarks that run on one.
#include <stdexcept>
#include <string>

#include <cuda_runtime_api.h>

#include "tests/cuda/device_array.h"

namespace mayfly::cuda {
namespace {

void check(cudaError_t error, const char* what) {
  if (error != cudaSuccess) {
    throw std::runtime_error(std::string(what) + ": " + cudaGetErrorString(error));
  }
}

}  // namespace

void* device_allocate(std::size_t bytes) {
  void* pointer = nullptr;
  check(cudaMalloc(&pointer, bytes > 0 ? bytes : 1), "cudaMalloc");
  check(cudaMemset(pointer, 0xff, bytes), "cudaMemset");
  return pointer;
}

void device_free(void* pointer) {
  cudaFree(pointer);  // in destructors: what went wrong shows in the next call
}

void upload(void* to_device, const void* from_host, std::size_t bytes) {
  check(cudaMemcpy(to_device, from_host, bytes, cudaMemcpyHostToDevice), "copying to the GPU");
}

void download(void* to_host, const void* from_device, std::size_t bytes) {
  check(cudaMemcpy(to_host, from_device, bytes, cudaMemcpyDeviceToHost), "copying from the GPU");
}

}  // namespace mayfly::cuda
