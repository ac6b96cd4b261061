#include "trainer/ops/rms_norm.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/mean.h>
#include <ATen/ops/rsqrt.h>

#include "trainer/ops/device_ops.h"
#include "trainer/ops/on_rows.h"

namespace mayfly {

namespace {

at::Tensor inverse_rms(const at::Tensor& x_float, double eps) {
  return x_float.square().mean(-1, /*keepdim=*/true).add_(eps).rsqrt_();
}

row_kernels::NormRows row_form(const NormForm& form, std::int64_t rows, std::int64_t width) {
  return {rows, width, static_cast<float>(form.eps), form.one_plus};
}

}  // namespace

at::Tensor add_rms_norm(const at::Tensor& x, const at::Tensor& residual, const at::Tensor& weight,
                        const NormForm& form) {
  if (const DeviceOps* const ops = device_ops(x)) return ops->rms_norm(x, residual, weight, form);
  x.add_(residual);
  return rms_norm(x, weight, form);
}

at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, const NormForm& form) {
  if (const DeviceOps* const ops = device_ops(x)) return ops->rms_norm(x, {}, weight, form);
  if (has_row_kernels(x)) {
    const std::int64_t width = x.size(-1);
    at::Tensor y = at::empty_like(x);
    with_row_type(x, [&]<class T>(T) {
      for_row_ranges(x.numel() / width, width, [&](std::int64_t first, std::int64_t count) {
        row_kernels::rms_norm(row_data<T>(y) + first * width, row_data<T>(x) + first * width,
                              row_data<T>(weight), row_form(form, count, width));
      });
    });
    return y;
  }
  const at::Tensor x_float = x.to(at::kFloat);
  const at::Tensor normed = x_float.mul(inverse_rms(x_float, form.eps));
  if (form.one_plus) return (normed * (weight.to(at::kFloat) + 1.0)).to(x.scalar_type());
  return normed.to(x.scalar_type()).mul_(weight);
}

void rms_norm_backward(const at::Tensor& dx, const at::Tensor& dy, const at::Tensor& x,
                       const at::Tensor& weight, const NormForm& form) {
  if (const DeviceOps* const ops = device_ops(x)) {
    return ops->rms_norm_backward(dx, dy, x, weight, form);
  }
  if (has_row_kernels(x) && has_row_kernels(dx) && has_row_kernels(dy)) {
    const std::int64_t width = x.size(-1);
    with_row_type(x, [&]<class T>(T) {
      for_row_ranges(x.numel() / width, width, [&](std::int64_t first, std::int64_t count) {
        row_kernels::rms_norm_backward(
            row_data<T>(dx) + first * width, row_data<T>(dy) + first * width,
            row_data<T>(x) + first * width, row_data<T>(weight), row_form(form, count, width));
      });
    });
    return;
  }
  const at::Tensor x_float = x.to(at::kFloat);
  const at::Tensor r = inverse_rms(x_float, form.eps);
  const at::Tensor factor = form.one_plus ? weight.to(at::kFloat) + 1.0 : weight.to(at::kFloat);
  const at::Tensor m = dy.to(at::kFloat).mul(factor);
  const at::Tensor mean = m.mul(x_float).mean(-1, /*keepdim=*/true).mul_(r).mul_(r);
  dx.add_(m.sub(x_float.mul(mean)).mul_(r).to(dx.scalar_type()));
}

}  // namespace mayfly
