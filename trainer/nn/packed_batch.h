// Documents one behind the other in one row of tokens: nothing is padded, and attention and
// positions start anew with each document, so the result is that of each alone.
//
// N: tokens of all documents; S: rows whose next token counts in the loss.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <ATen/core/Tensor.h>

namespace mayfly {

// One document. `trained[i]` != 0: token i counts in the loss, being predicted from those before
// it; the first token is predicted from nothing and never counts. Both spans have the same length.
struct DocumentView {
  std::span<const std::int32_t> tokens;
  std::span<const std::uint8_t> trained;
};

struct PackedBatch {
  at::Tensor tokens;                 // (N) int64
  at::Tensor positions;              // (N) int64, from 0 in each document
  std::vector<std::int64_t> starts;  // documents + 1 row numbers, from 0 to N
  at::Tensor loss_rows;              // (S) int64, ascending
  at::Tensor loss_targets;           // (S) int64: the token after each of them

  std::int64_t token_count() const {
    return starts.back();
  }
  std::int64_t supervised() const {
    return loss_rows.numel();
  }
  // Length of the longest document.
  std::int64_t longest() const;
};

// Empty documents are left out. The tensors are on `device`.
PackedBatch pack(std::span<const DocumentView> documents, at::Device device);

}  // namespace mayfly
