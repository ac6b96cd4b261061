#include "trainer/ops/cross_entropy.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include <ATen/ops/cat.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/ones.h>

#include "trainer/ops/device_ops.h"
#include "trainer/ops/on_rows.h"
#include "trainer/ops/soft_cap.h"

namespace mayfly {

namespace {

// Calls use(first row, number of rows) for slices whose logits fit into kLogitBytes.
void for_each_slice(std::int64_t rows, const at::Tensor& head, const auto& use) {
  const std::int64_t bytes = head.is_cpu() ? kLogitBytes : kGpuLogitBytes;
  const std::int64_t most = std::max<std::int64_t>(1, bytes / (head.size(0) * head.element_size()));
  for (std::int64_t first = 0; first < rows; first += most) {
    use(first, std::min(most, rows - first));
  }
}

double picked_loss(const at::Tensor& log_probability, const at::Tensor& targets) {
  return -log_probability.gather(1, targets.unsqueeze(1)).sum(at::kDouble).item<double>();
}

// Calls loss_of(row, width, target) for each row of `logits` and adds up, always in the order of
// the rows, so that the number of threads does not change the sum.
double sum_rows(const at::Tensor& logits, const at::Tensor& targets, const auto& loss_of) {
  const std::int64_t rows = logits.size(0), width = logits.size(1);
  const std::int64_t* const target = targets.const_data_ptr<std::int64_t>();
  std::vector<double> losses(static_cast<std::size_t>(rows));
  with_row_type(logits, [&]<class T>(T) {
    for_row_ranges(rows, width, [&](std::int64_t first, std::int64_t count) {
      for (std::int64_t row = first; row < first + count; ++row) {
        losses[static_cast<std::size_t>(row)] =
            loss_of(row_data<T>(logits) + row * width, width, target[row]);
      }
    });
  });
  return std::accumulate(losses.begin(), losses.end(), 0.0);
}

// The kernels leave the losses where they are made: the only wait for a GPU is for their sum.
double sum_of(const std::vector<at::Tensor>& losses) {
  return losses.empty() ? 0.0 : at::cat(losses).sum(at::kDouble).item<double>();
}

}  // namespace

double cross_entropy(const at::Tensor& hidden, const at::Tensor& head, const at::Tensor& targets,
                     const LossForm& form) {
  double loss = 0;
  std::vector<at::Tensor> losses;
  for_each_slice(hidden.size(0), head, [&](std::int64_t first, std::int64_t count) {
    const at::Tensor slice_targets = targets.narrow(0, first, count);
    const at::Tensor logits = at::mm(hidden.narrow(0, first, count), head.t());
    if (const DeviceOps* const ops = device_ops(logits)) {
      losses.push_back(ops->cross_entropy(logits, slice_targets, form, /*gradient=*/false));
    } else if (soft_cap(logits, form.soft_cap); has_row_kernels(logits)) {
      loss += sum_rows(logits, slice_targets,
                       [](const auto* row, std::int64_t width, std::int64_t target) {
                         return row_kernels::cross_entropy(row, width, target);
                       });
    } else {
      loss += picked_loss(at::log_softmax(logits, -1, at::kFloat), slice_targets);
    }
  });
  return loss + sum_of(losses);
}

CrossEntropyGradient cross_entropy_with_gradient(const at::Tensor& hidden, const at::Tensor& head,
                                                 const at::Tensor& targets, const LossForm& form) {
  CrossEntropyGradient result{.loss = 0, .dhidden = at::empty_like(hidden)};
  std::vector<at::Tensor> losses;
  for_each_slice(hidden.size(0), head, [&](std::int64_t first, std::int64_t count) {
    const at::Tensor slice_targets = targets.narrow(0, first, count);
    at::Tensor logits = at::mm(hidden.narrow(0, first, count), head.t());
    if (const DeviceOps* const ops = device_ops(logits)) {
      losses.push_back(ops->cross_entropy(logits, slice_targets, form, /*gradient=*/true));
    } else if (soft_cap(logits, form.soft_cap); has_row_kernels(logits)) {
      const row_kernels::RowGradient gradient{static_cast<float>(form.scale),
                                              static_cast<float>(form.soft_cap)};
      result.loss += sum_rows(
          logits, slice_targets, [&gradient](auto* row, std::int64_t width, std::int64_t target) {
            return row_kernels::cross_entropy_gradient(row, width, target, gradient);
          });
    } else {
      const at::Tensor log_probability = at::log_softmax(logits, -1, at::kFloat);
      result.loss += picked_loss(log_probability, slice_targets);
      const at::Tensor minus_one = at::ones({count, 1}, log_probability.options()).neg_();
      const at::Tensor slope = log_probability.exp()
                                   .scatter_add_(1, slice_targets.unsqueeze(1), minus_one)
                                   .mul_(form.scale);
      if (form.soft_cap > 0) {
        slope.mul_(logits.to(at::kFloat).div(form.soft_cap).square_().neg_().add_(1.0));
      }
      logits = slope.to(head.scalar_type());
    }
    at::Tensor dhidden = result.dhidden.narrow(0, first, count);
    at::mm_out(dhidden, logits, head);
  });
  result.loss += sum_of(losses);
  return result;
}

}  // namespace mayfly
