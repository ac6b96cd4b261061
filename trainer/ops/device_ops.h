// The ops that the kernels of cuda/ compute, as tensors see them: the one door from the trainer to
// the GPU's own code. Each op of this folder asks `device_ops(x)` first and else computes by
// itself: on the CPU with its loops, on a GPU without kernels in the build with libtorch.
//
// Rows are the first dimension, tensors contiguous and of one type and device; what is not ends
// with an exception (c10::Error), and so does a launch that fails. Nothing waits for the GPU.
#pragma once

#include <cstdint>
#include <string>

#include <ATen/core/Tensor.h>

#include "trainer/ops/cross_entropy.h"
#include "trainer/ops/gate_activation.h"
#include "trainer/ops/nf4.h"
#include "trainer/ops/rms_norm.h"

namespace mayfly {

class DeviceOps {
 public:
  DeviceOps() = default;
  DeviceOps(const DeviceOps&) = delete;
  DeviceOps& operator=(const DeviceOps&) = delete;
  virtual ~DeviceOps() = default;

  // rms_norm.h. `residual` may be undefined; else x becomes x + residual first, in place.
  virtual at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& residual,
                              const at::Tensor& weight, const NormForm& form) const = 0;
  virtual void rms_norm_backward(const at::Tensor& dx, const at::Tensor& dy, const at::Tensor& x,
                                 const at::Tensor& weight, const NormForm& form) const = 0;
  // glu.h
  virtual at::Tensor glu(const at::Tensor& e, const at::Tensor& g,
                         GateActivation activation) const = 0;
  virtual void glu_backward(const at::Tensor& e, const at::Tensor& g, const at::Tensor& dh,
                            GateActivation activation) const = 0;
  // rope_apply.h
  virtual void rope(const at::Tensor& q, const at::Tensor& k, const at::Tensor& cosine,
                    const at::Tensor& sine, bool backward) const = 0;
  // cross_entropy.h: the loss of each row, (rows) float32; with `gradient` the logits become it.
  virtual at::Tensor cross_entropy(const at::Tensor& logits, const at::Tensor& targets,
                                   const LossForm& form, bool gradient) const = 0;
  // nf4.h
  virtual Nf4Weight nf4_quantize(const at::Tensor& weight, bool double_quant) const = 0;
  virtual void nf4_restore(const Nf4Weight& weight, const at::Tensor& out) const = 0;
};

// nullptr where no kernel of this build serves x. Defined by what the program is linked with:
// trainer/no_kernels.cpp, trainer/cuda_kernels.cpp, or a test's emulator.
const DeviceOps* device_ops(const at::Tensor& x);

// Whether libtorch's FlashAttention 2 takes tensors of this type on this GPU.
bool has_flash_attention(const at::Tensor& like, std::int64_t head_width);

// Why the kernels of this build cannot run on the GPU with this number, in one sentence; empty when
// they can, and where the build has none.
std::string kernels_obstacle(int gpu);

// Memory of the GPU with this number that nobody uses; 0: this build cannot ask.
std::int64_t gpu_free_bytes(int gpu);

}  // namespace mayfly
