// Every kernel of cuda/ on one layer of Llama-3-8B at 8192 tokens, timed on a GPU: one JSON line a
// kernel, after one with what the GPU copies in a second, which the others are a share of.
//
//   kernel_bench        exit code 0, or 77 where there is no GPU, with the reason on stderr
#include <algorithm>
#include <cstdio>
#include <exception>
#include <vector>

#include <cuda_runtime_api.h>

#include "tests/cuda/cases/kernel_case.h"
#include "tests/cuda/device_array.h"

namespace mayfly::cuda {
namespace {

constexpr int kWarmUp = 3;
constexpr int kRuns = 20;

bool succeeded(cudaError_t error, const char* what) {
  if (error != cudaSuccess) std::fprintf(stderr, "%s: %s\n", what, cudaGetErrorString(error));
  return error == cudaSuccess;
}

// Median time of a launch in seconds; below 0 when one failed.
double seconds_of(const std::function<Error(Stream)>& launch) {
  cudaEvent_t before = nullptr, after = nullptr;
  cudaEventCreate(&before);
  cudaEventCreate(&after);
  std::vector<float> milliseconds;
  Error error = kSuccess;
  for (int run = 0; run < kWarmUp + kRuns && error == kSuccess; ++run) {
    cudaEventRecord(before);
    error = launch(nullptr);
    cudaEventRecord(after);
    if (error == kSuccess) error = cudaEventSynchronize(after);
    float time = 0;
    cudaEventElapsedTime(&time, before, after);
    if (run >= kWarmUp) milliseconds.push_back(time);
  }
  cudaEventDestroy(before);
  cudaEventDestroy(after);
  if (!succeeded(static_cast<cudaError_t>(error), "a kernel")) return -1;
  std::nth_element(milliseconds.begin(), milliseconds.begin() + kRuns / 2, milliseconds.end());
  return static_cast<double>(milliseconds[kRuns / 2]) / 1e3;
}

// Bytes read and written a second by the driver's own copy: what a kernel can hope for.
double copied_per_second() {
  constexpr std::size_t kBytes = std::size_t{1} << 30;
  const DeviceArray<char> from(kBytes), to(kBytes);
  const double seconds = seconds_of([&](Stream stream) -> Error {
    return cudaMemcpyAsync(to.data(), from.data(), kBytes, cudaMemcpyDeviceToDevice,
                           static_cast<cudaStream_t>(stream));
  });
  return seconds > 0 ? 2.0 * static_cast<double>(kBytes) / seconds : 0;
}

int run() {
  int gpus = 0;
  if (!succeeded(cudaGetDeviceCount(&gpus), "looking for a GPU") || gpus == 0) return 77;
  cudaDeviceProp facts{};
  if (!succeeded(cudaGetDeviceProperties(&facts, 0), "asking the GPU")) return 1;
  const double copied = copied_per_second();
  if (copied <= 0) return 1;
  std::printf("{\"gpu\": \"%s\", \"capability\": \"%d.%d\", \"copied_gb_s\": %.1f}\n", facts.name,
              facts.major, facts.minor, copied / 1e9);
  bool all = true;
  for (const KernelCase& one : kernel_cases(Size::full)) {
    const double seconds = seconds_of(one.launch);
    all = all && seconds > 0;
    if (seconds <= 0) continue;
    const double rate = one.least_bytes / seconds;
    std::printf(
        "{\"kernel\": \"%s\", \"type\": \"%s\", \"shape\": \"%s\", \"microseconds\": %.2f, "
        "\"gb_s\": %.1f, \"of_copy\": %.3f}\n",
        one.kernel.c_str(), one.type.c_str(), one.shape.c_str(), seconds * 1e6, rate / 1e9,
        rate / copied);
  }
  return all ? 0 : 1;
}

}  // namespace
}  // namespace mayfly::cuda

int main() {
  try {
    return mayfly::cuda::run();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "kernel_bench: %s\n", error.what());
    return 1;
  }
}
