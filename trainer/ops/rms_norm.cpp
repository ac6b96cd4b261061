#include "trainer/ops/rms_norm.h"

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

}  // namespace

at::Tensor add_rms_norm(const at::Tensor& x, const at::Tensor& residual, const at::Tensor& weight,
                        double eps) {
  if (const DeviceOps* const ops = device_ops(x)) return ops->rms_norm(x, residual, weight, eps);
  x.add_(residual);
  return rms_norm(x, weight, eps);
}

at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double eps) {
  if (const DeviceOps* const ops = device_ops(x)) return ops->rms_norm(x, {}, weight, eps);
  if (has_row_kernels(x)) {
    const std::int64_t width = x.size(-1);
    at::Tensor y = at::empty_like(x);
    with_row_type(x, [&]<class T>(T) {
      for_row_ranges(x.numel() / width, width, [&](std::int64_t first, std::int64_t count) {
        row_kernels::rms_norm(row_data<T>(y) + first * width, row_data<T>(x) + first * width,
                              row_data<T>(weight), count, width, static_cast<float>(eps));
      });
    });
    return y;
  }
  const at::Tensor x_float = x.to(at::kFloat);
  return x_float.mul(inverse_rms(x_float, eps)).to(x.scalar_type()).mul_(weight);
}

void rms_norm_backward(const at::Tensor& dx, const at::Tensor& dy, const at::Tensor& x,
                       const at::Tensor& weight, double eps) {
  if (const DeviceOps* const ops = device_ops(x)) {
    return ops->rms_norm_backward(dx, dy, x, weight, eps);
  }
  if (has_row_kernels(x) && has_row_kernels(dx) && has_row_kernels(dy)) {
    const std::int64_t width = x.size(-1);
    with_row_type(x, [&]<class T>(T) {
      for_row_ranges(x.numel() / width, width, [&](std::int64_t first, std::int64_t count) {
        row_kernels::rms_norm_backward(row_data<T>(dx) + first * width,
                                       row_data<T>(dy) + first * width,
                                       row_data<T>(x) + first * width, row_data<T>(weight), count,
                                       width, static_cast<float>(eps));
      });
    });
    return;
  }
  const at::Tensor x_float = x.to(at::kFloat);
  const at::Tensor r = inverse_rms(x_float, eps);
  const at::Tensor m = dy.to(at::kFloat).mul(weight.to(at::kFloat));
  const at::Tensor mean = m.mul(x_float).mean(-1, /*keepdim=*/true).mul_(r).mul_(r);
  dx.add_(m.sub(x_float.mul(mean)).mul_(r).to(dx.scalar_type()));
}

}  // namespace mayfly
