// What one training step moves and starts beside its matrix products: op by op as a plain program
// does it, and with the kernels of cuda/. By arithmetic, from the model's shape; nothing is
// measured.
#pragma once

#include <string>
#include <vector>

namespace mayfly::cuda {

struct ModelShape {
  std::string name;
  double width, layers, queries, keys, inner, vocabulary;  // elements
  double weights;                                          // of the linear layers, all layers
};

struct Gpu {
  std::string name;
  double bytes_per_second;  // of its memory, as its maker says
  double flops;             // dense bf16, as its maker says
};

struct LedgerRow {
  std::string what;
  double eager_bytes, ours_bytes;  // a step of `tokens`
  double eager_launches, ours_launches;
  std::string eager;  // bytes an element op by op, counted as in the row's name
};

std::vector<ModelShape> ledger_models();
std::vector<Gpu> ledger_gpus();

// Forward and backward, LoRA on all linear layers, nothing recomputed; the loss over all tokens.
std::vector<LedgerRow> ledger(const ModelShape& model, double tokens, bool quantized);

// Floating point operations of a step: linear layers forward and back to their inputs (the weights
// are frozen), the head, causal attention over documents of `document` tokens.
double step_flops(const ModelShape& model, double tokens, double document);

}  // namespace mayfly::cuda
