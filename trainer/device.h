// Where and in which type to compute. Asked once, at the start of the program.
//
// One binary serves CPU and GPU: it is linked with libtorch_cpu only and starts without any NVIDIA
// library. If the machine has a driver (libcuda.so.1) and libtorch_cuda.so stands beside
// libtorch_cpu.so, that library is loaded at run time, which registers its kernels.
// Not proven: loading it and training on a GPU have not been run yet, for want of one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <ATen/core/Tensor.h>

#include "core/config/train_config.h"
#include "core/result.h"

namespace mayfly {

struct ComputeDevice {
  at::Device device = at::kCPU;
  at::ScalarType type = at::kFloat;  // kFloat or kBFloat16
  std::string name;                  // "cpu", "cuda:0": for people
};

// `bf16` nullopt: where the processor multiplies in it (AVX512-BF16 or AMX; any GPU from 8.0 on).
// `gpu`: its number. Error: refused, when a GPU is asked for and there is none, with the reason.
Result<ComputeDevice> choose_device(Device wanted, std::optional<bool> bf16, int gpu = 0);

// Threads of libtorch on the CPU; nullopt: one for each core, shared by so many processes. Losses
// are the same bit for bit only for the same number.
void set_threads(std::optional<std::int64_t> threads, std::int64_t processes = 1);
int threads();

}  // namespace mayfly
