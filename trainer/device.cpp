#include "trainer/device.h"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <thread>

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <dlfcn.h>

#include "trainer/ops/device_ops.h"

namespace mayfly {

namespace {

// Where the libtorch that this program uses lies.
std::filesystem::path libtorch_folder() {
  Dl_info info{};
  const auto address = reinterpret_cast<void*>(&at::globalContext);
  if (dladdr(address, &info) == 0 || info.dli_fname == nullptr) return {};
  return std::filesystem::path(info.dli_fname).parent_path();
}

// Empty: a GPU can be used. Otherwise why not. Must come before anything else asks libtorch about
// GPUs: the first question fixes its answer for the whole process.
std::string load_cuda() {
  if (dlopen("libcuda.so.1", RTLD_LAZY | RTLD_GLOBAL) == nullptr) {
    return "there is no NVIDIA driver (libcuda.so.1)";
  }
  const std::filesystem::path library = libtorch_folder() / "libtorch_cuda.so";
  std::error_code code;
  if (!std::filesystem::exists(library, code)) return "there is no " + library.string();
  // RTLD_GLOBAL and never closed: its kernels register themselves with the dispatcher.
  if (dlopen(library.c_str(), RTLD_NOW | RTLD_GLOBAL) == nullptr) {
    return "loading " + library.string() + ": " + dlerror();
  }
  if (at::getNumGPUs() == 0) return "the driver shows no GPU";
  return {};
}

bool processor_has_bf16() {
  return __builtin_cpu_supports("avx512bf16") != 0;  // every processor with AMX has it too
}

}  // namespace

Result<ComputeDevice> choose_device(Device wanted, std::optional<bool> bf16, int gpu) {
  ComputeDevice chosen;
  if (wanted != Device::cpu) {
    std::string obstacle = load_cuda();
    if (obstacle.empty() && gpu >= static_cast<int>(at::getNumGPUs())) {
      obstacle = "the driver shows " + std::to_string(at::getNumGPUs()) + " GPUs, and process " +
                 std::to_string(gpu) + " needs its own";
    }
    if (obstacle.empty()) {
      // Not the processor instead: the machine was chosen, and is paid, for its GPU.
      if (const std::string unfit = kernels_obstacle(gpu); !unfit.empty()) {
        return Error{ErrorKind::refused, unfit,
                     "rent another GPU, or set train.device to cpu to train on the processor"};
      }
      chosen.device = at::Device(at::kCUDA, static_cast<at::DeviceIndex>(gpu));
    } else if (wanted == Device::cuda) {
      return Error{ErrorKind::refused, "train.device is cuda, and " + obstacle,
                   "set train.device to auto or cpu to train on the processor"};
    }
  }
  const bool has_bf16 = chosen.device.is_cuda() || processor_has_bf16();
  chosen.type = bf16.value_or(has_bf16) ? at::kBFloat16 : at::kFloat;
  chosen.name = chosen.device.is_cuda() ? "cuda:" + std::to_string(gpu) : "cpu";
  return chosen;
}

void set_threads(std::optional<std::int64_t> threads, std::int64_t processes) {
  const auto cores = static_cast<std::int64_t>(std::max(1u, std::thread::hardware_concurrency()));
  at::set_num_threads(
      static_cast<int>(threads.value_or(std::max<std::int64_t>(1, cores / processes))));
}

int threads() {
  return at::get_num_threads();
}

}  // namespace mayfly
