// A build with nvcc: tensors on a GPU are served by the kernels of cuda/.
//
// The CUDA runtime is linked into the program; it looks for the driver when it is first asked, so
// the program starts on a machine without one. libtorch has a runtime of its own in the same
// process; streams and memory belong to the device's primary context, which both use.
// Not proven: this has not run on a GPU yet, for want of one.
#include <c10/core/Stream.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <cuda_runtime_api.h>

#include "trainer/ops/gpu_architecture.h"
#include "trainer/ops/kernel_ops.h"

namespace mayfly {

namespace {

class Gpu : public KernelPlace {
 public:
  void* address(const at::Tensor& x) const override {
    return x.data_ptr();
  }
  // Through libtorch's interface of devices: this program is not linked with libtorch_cuda.
  cuda::Stream stream(const at::Tensor& x) const override {
    return c10::impl::VirtualGuardImpl(at::kCUDA).getStream(x.device()).native_handle();
  }
};

}  // namespace

const DeviceOps* device_ops(const at::Tensor& x) {
  static const Gpu gpu;
  static const KernelOps ops(gpu);
  return x.is_cuda() ? &ops : nullptr;
}

bool has_flash_attention(const at::Tensor& like, std::int64_t head_width) {
  const bool short_type = like.scalar_type() == at::kBFloat16 || like.scalar_type() == at::kHalf;
  int major = 0;
  return like.is_cuda() && short_type && head_width % 8 == 0 && head_width <= 256 &&
         cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, like.get_device()) ==
             cudaSuccess &&
         major >= 8;
}

std::string kernels_obstacle(int gpu) {
  int major = 0, minor = 0;
  const cudaError_t asked = cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, gpu);
  const cudaError_t also = cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, gpu);
  if (asked != cudaSuccess || also != cudaSuccess) {
    return std::string("asking the GPU for its compute capability failed: ") +
           cudaGetErrorString(asked != cudaSuccess ? asked : also);
  }
  return architecture_obstacle({major, minor}, MAYFLY_CUDA_ARCHITECTURES);
}

std::int64_t gpu_free_bytes(int gpu) {
  std::size_t free = 0, total = 0;
  const bool told =
      cudaSetDevice(gpu) == cudaSuccess && cudaMemGetInfo(&free, &total) == cudaSuccess;
  return told ? static_cast<std::int64_t>(free) : 0;
}

}  // namespace mayfly
