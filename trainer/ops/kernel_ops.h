// DeviceOps by the kernels of cuda/. Knows tensors on one side and pointers, sizes and streams on
// the other, and nothing else; no header of CUDA, so it is compiled, linked with the emulator and
// tested where there is neither toolkit nor GPU.
#pragma once

#include "cuda/stream.h"
#include "trainer/ops/device_ops.h"

namespace mayfly {

// Where the kernels run: the GPU, or in tests the emulator.
class KernelPlace {
 public:
  KernelPlace() = default;
  KernelPlace(const KernelPlace&) = delete;
  KernelPlace& operator=(const KernelPlace&) = delete;
  virtual ~KernelPlace() = default;
  // The tensor's first element as a kernel addresses it.
  virtual void* address(const at::Tensor& x) const = 0;
  // The stream that libtorch computes in, so that the order of calls is the order of work.
  virtual cuda::Stream stream(const at::Tensor& x) const = 0;
};

class KernelOps : public DeviceOps {
 public:
  // `place` outlives it.
  explicit KernelOps(const KernelPlace& place) : place_(place) {}

  at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& residual, const at::Tensor& weight,
                      const NormForm& form) const override;
  void rms_norm_backward(const at::Tensor& dx, const at::Tensor& dy, const at::Tensor& x,
                         const at::Tensor& weight, const NormForm& form) const override;
  at::Tensor glu(const at::Tensor& e, const at::Tensor& g,
                 GateActivation activation) const override;
  void glu_backward(const at::Tensor& e, const at::Tensor& g, const at::Tensor& dh,
                    GateActivation activation) const override;
  void rope(const at::Tensor& q, const at::Tensor& k, const at::Tensor& cosine,
            const at::Tensor& sine, bool backward) const override;
  at::Tensor cross_entropy(const at::Tensor& logits, const at::Tensor& targets,
                           const LossForm& form, bool gradient) const override;
  Nf4Weight nf4_quantize(const at::Tensor& weight, bool double_quant) const override;
  void nf4_restore(const Nf4Weight& weight, const at::Tensor& out) const override;

 private:
  template <class T>
  T* data(const at::Tensor& x) const;

  const KernelPlace& place_;
};

}  // namespace mayfly
