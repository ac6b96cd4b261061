#include "trainer/ops/kernel_ops.h"

#include <algorithm>
#include <array>
#include <initializer_list>

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <c10/util/Exception.h>

#include "cuda/cross_entropy.h"
#include "cuda/glu.h"
#include "cuda/nf4.h"
#include "cuda/rms_norm.h"
#include "cuda/rope.h"

namespace mayfly {

namespace {

// Here and not in the kernels: a wrong type there would be read as numbers.
void check(const char* op, std::initializer_list<const at::Tensor*> tensors) {
  const at::Tensor& first = **tensors.begin();
  for (const at::Tensor* const tensor : tensors) {
    TORCH_CHECK(tensor->is_contiguous(), op, ": a tensor is not contiguous");
    TORCH_CHECK(tensor->scalar_type() == first.scalar_type(), op, ": tensors of ",
                tensor->scalar_type(), " and ", first.scalar_type());
    TORCH_CHECK(tensor->device() == first.device(), op, ": tensors on ", tensor->device(), " and ",
                first.device());
  }
}

void check_shape(const char* op, const at::Tensor& x, at::IntArrayRef shape) {
  TORCH_CHECK(x.sizes() == shape, op, ": a tensor is ", x.sizes(), " and should be ", shape);
}

void check_launch(const char* op, cuda::Error error) {
  TORCH_CHECK(error == cuda::kSuccess, op, ": starting the kernel failed with CUDA error ", error);
}

// Calls use(T{}) with the kernels' type for x's.
void with_type(const char* op, const at::Tensor& x, const auto& use) {
  switch (x.scalar_type()) {
    case at::kFloat:
      return use(float{});
    case at::kBFloat16:
      return use(cuda::Bf16{});
    case at::kHalf:
      return use(cuda::Fp16{});
    default:
      TORCH_CHECK(false, op, ": no kernel for ", x.scalar_type());
  }
}

cuda::GluForm glu_form(const at::Tensor& e, GateActivation activation) {
  return {.rows = e.size(0),
          .cols = e.size(1),
          .stride = e.size(1),
          .gate = activation == GateActivation::silu ? cuda::Gate::silu : cuda::Gate::gelu_tanh};
}

cuda::RmsNormForm norm_form(const at::Tensor& x, const NormForm& form) {
  return {.rows = x.size(0),
          .cols = x.size(1),
          .eps = static_cast<float>(form.eps),
          .one_plus = form.one_plus};
}

}  // namespace

template <class T>
T* KernelOps::data(const at::Tensor& x) const {
  return static_cast<T*>(place_.address(x));
}

at::Tensor KernelOps::rms_norm(const at::Tensor& x, const at::Tensor& residual,
                               const at::Tensor& weight, const NormForm& form) const {
  constexpr const char* kOp = "rms_norm";
  check(kOp, {&x, &weight, residual.defined() ? &residual : &x});
  check_shape(kOp, weight, {x.size(1)});
  if (residual.defined()) check_shape(kOp, residual, x.sizes());
  const at::Tensor y = at::empty_like(x);
  with_type(kOp, x, [&]<class T>(T) {
    T* const sum = residual.defined() ? data<T>(x) : nullptr;
    const T* const added = residual.defined() ? data<T>(residual) : nullptr;
    check_launch(kOp, cuda::rms_norm<T>(data<T>(y), sum, data<T>(x), added, data<T>(weight),
                                        norm_form(x, form), place_.stream(x)));
  });
  return y;
}

void KernelOps::rms_norm_backward(const at::Tensor& dx, const at::Tensor& dy, const at::Tensor& x,
                                  const at::Tensor& weight, const NormForm& form) const {
  constexpr const char* kOp = "rms_norm_backward";
  check(kOp, {&dx, &dy, &x, &weight});
  for (const at::Tensor* const same : {&dx, &dy}) check_shape(kOp, *same, x.sizes());
  check_shape(kOp, weight, {x.size(1)});
  with_type(kOp, x, [&]<class T>(T) {
    check_launch(kOp,
                 cuda::rms_norm_backward<T>(data<T>(dx), data<T>(dy), data<T>(x), data<T>(weight),
                                            data<T>(dx), norm_form(x, form), place_.stream(x)));
  });
}

at::Tensor KernelOps::glu(const at::Tensor& e, const at::Tensor& g,
                          GateActivation activation) const {
  constexpr const char* kOp = "glu";
  check(kOp, {&e, &g});
  check_shape(kOp, g, e.sizes());
  const at::Tensor h = at::empty_like(e);
  with_type(kOp, e, [&]<class T>(T) {
    check_launch(kOp, cuda::glu<T>(data<T>(h), data<T>(e), data<T>(g), glu_form(e, activation),
                                   place_.stream(e)));
  });
  return h;
}

void KernelOps::glu_backward(const at::Tensor& e, const at::Tensor& g, const at::Tensor& dh,
                             GateActivation activation) const {
  constexpr const char* kOp = "glu_backward";
  check(kOp, {&e, &g, &dh});
  for (const at::Tensor* const same : {&g, &dh}) check_shape(kOp, *same, e.sizes());
  with_type(kOp, e, [&]<class T>(T) {
    check_launch(kOp,
                 cuda::glu_backward<T>(data<T>(e), data<T>(g), data<T>(dh), data<T>(dh), data<T>(e),
                                       data<T>(g), glu_form(e, activation), place_.stream(e)));
  });
}

void KernelOps::rope(const at::Tensor& q, const at::Tensor& k, const at::Tensor& cosine,
                     const at::Tensor& sine, bool backward) const {
  constexpr const char* kOp = "rope";
  check(kOp, {&q, &k, &cosine, &sine});
  const std::int64_t tokens = q.size(0), width = q.size(2);
  check_shape(kOp, k, {tokens, k.size(1), width});
  for (const at::Tensor* const table : {&cosine, &sine}) {
    check_shape(kOp, *table, {tokens, width / 2});
  }
  const cuda::RopeForm form{.tokens = tokens,
                            .q_heads = static_cast<int>(q.size(1)),
                            .k_heads = static_cast<int>(k.size(1)),
                            .width = static_cast<int>(width),
                            .q_stride = q.size(1) * width,
                            .k_stride = k.size(1) * width,
                            .backward = backward};
  with_type(kOp, q, [&]<class T>(T) {
    // Rows of the tables are gathered by position already: token t has row t.
    const cuda::RopeTables<T> tables{.cosine = data<T>(cosine), .sine = data<T>(sine)};
    check_launch(kOp, cuda::rope<T>(data<T>(q), data<T>(k), tables, form, place_.stream(q)));
  });
}

at::Tensor KernelOps::cross_entropy(const at::Tensor& logits, const at::Tensor& targets,
                                    const LossForm& loss_form, bool gradient) const {
  constexpr const char* kOp = "cross_entropy";
  check(kOp, {&logits});
  check(kOp, {&targets});
  check_shape(kOp, targets, {logits.size(0)});
  TORCH_CHECK(targets.scalar_type() == at::kLong, kOp, ": targets are ", targets.scalar_type());
  const cuda::CrossEntropyForm form{.rows = logits.size(0),
                                    .cols = logits.size(1),
                                    .stride = logits.size(1),
                                    .soft_cap = static_cast<float>(loss_form.soft_cap),
                                    .scale = static_cast<float>(loss_form.scale),
                                    .gradient = gradient};
  const at::Tensor loss = at::empty({form.rows}, logits.options().dtype(at::kFloat));
  with_type(kOp, logits, [&]<class T>(T) {
    check_launch(
        kOp, cuda::cross_entropy<T>(data<float>(loss), data<T>(logits), data<std::int64_t>(targets),
                                    form, place_.stream(logits)));
  });
  return loss;
}

Nf4Weight KernelOps::nf4_quantize(const at::Tensor& given, bool double_quant) const {
  constexpr const char* kOp = "nf4_quantize";
  check(kOp, {&given});
  Nf4Weight weight{.rows = given.size(0), .columns = given.size(1), .block = cuda::kNf4Block};
  const std::int64_t blocks = weight.blocks();
  const auto room = [&](std::int64_t count, at::ScalarType type) {
    return at::empty({count}, given.options().dtype(type));
  };
  const cuda::Stream stream = place_.stream(given);
  weight.packed = room(weight.packed_bytes(), at::kByte);
  at::Tensor absmax = room(blocks, at::kFloat);
  with_type(kOp, given, [&]<class T>(T) {
    check_launch(kOp, cuda::nf4_quantize<T>(data<std::uint8_t>(weight.packed), data<float>(absmax),
                                            data<T>(given), weight.count(), stream));
  });
  if (!double_quant) {
    weight.absmax = std::move(absmax);
    return weight;
  }
  const std::array<float, 256> code = cuda::nf4_scale_code();
  at::Tensor code_here = at::empty({256}, at::kFloat);
  std::copy(code.begin(), code.end(), code_here.mutable_data_ptr<float>());
  weight.code = code_here.to(given.device());
  weight.offset = room(1, at::kFloat);
  weight.quantized = room(blocks, at::kByte);
  weight.scale = room(weight.scale_groups(), at::kFloat);
  check_launch(kOp,
               cuda::nf4_mean(data<float>(weight.offset), data<float>(absmax), blocks, stream));
  check_launch(kOp, cuda::nf4_quantize_scales(data<std::uint8_t>(weight.quantized),
                                              data<float>(weight.scale), data<float>(absmax),
                                              data<float>(weight.code), data<float>(weight.offset),
                                              blocks, stream));
  return weight;
}

void KernelOps::nf4_restore(const Nf4Weight& weight, const at::Tensor& out) const {
  constexpr const char* kOp = "nf4_restore";
  check(kOp, {&out});
  TORCH_CHECK(out.numel() == weight.count(), kOp, ": ", weight.count(), " weights into ",
              out.numel());
  cuda::Nf4Scales scales;
  if (weight.absmax.defined()) {
    scales.absmax = data<float>(weight.absmax);
  } else {
    scales = {nullptr, data<std::uint8_t>(weight.quantized), data<float>(weight.scale),
              data<float>(weight.code), data<float>(weight.offset)};
  }
  with_type(kOp, out, [&]<class T>(T) {
    check_launch(kOp, cuda::nf4_dequantize<T>(data<T>(out), data<std::uint8_t>(weight.packed),
                                              scales, weight.count(),
                                              static_cast<int>(weight.block), place_.stream(out)));
  });
}

}  // namespace mayfly
