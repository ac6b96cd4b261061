#include "trainer/nn/packed_batch.h"

#include <algorithm>
#include <cassert>

#include <ATen/ops/empty.h>

namespace mayfly {

namespace {

at::Tensor to_tensor(const std::vector<std::int64_t>& values, at::Device device) {
  at::Tensor tensor = at::empty({static_cast<std::int64_t>(values.size())}, at::kLong);
  std::copy(values.begin(), values.end(), tensor.mutable_data_ptr<std::int64_t>());
  return tensor.to(device);
}

}  // namespace

std::int64_t PackedBatch::longest() const {
  std::int64_t longest = 0;
  for (std::size_t i = 1; i < starts.size(); ++i) {
    longest = std::max(longest, starts[i] - starts[i - 1]);
  }
  return longest;
}

PackedBatch pack(std::span<const DocumentView> documents, at::Device device) {
  std::vector<std::int64_t> tokens, positions, rows, targets;
  PackedBatch batch;
  batch.starts.push_back(0);
  for (const DocumentView& document : documents) {
    assert(document.tokens.size() == document.trained.size());
    if (document.tokens.empty()) continue;
    for (std::size_t i = 0; i < document.tokens.size(); ++i) {
      if (i > 0 && document.trained[i] != 0) {
        rows.push_back(static_cast<std::int64_t>(tokens.size()) - 1);
        targets.push_back(document.tokens[i]);
      }
      tokens.push_back(document.tokens[i]);
      positions.push_back(static_cast<std::int64_t>(i));
    }
    batch.starts.push_back(static_cast<std::int64_t>(tokens.size()));
  }
  batch.tokens = to_tensor(tokens, device);
  batch.positions = to_tensor(positions, device);
  batch.loss_rows = to_tensor(rows, device);
  batch.loss_targets = to_tensor(targets, device);
  return batch;
}

}  // namespace mayfly
