// A build without nvcc: no op is served by a kernel of ours.
#include "trainer/ops/device_ops.h"

namespace mayfly {

const DeviceOps* device_ops(const at::Tensor& /*x*/) {
  return nullptr;
}

bool has_flash_attention(const at::Tensor& /*like*/, std::int64_t /*head_width*/) {
  return false;  // asking the GPU takes CUDA's runtime
}

std::string kernels_obstacle(int /*gpu*/) {
  return {};
}

std::int64_t gpu_free_bytes(int /*gpu*/) {
  return 0;
}

}  // namespace mayfly
