// How much memory training an adapter takes, by arithmetic from the model's shape.
//
//   weights       parameters x e                  e: bytes of the type of computing, 2 or 4;
//                 in four bits (0.516, or 0.5625) x those of the blocks' linear layers, and the
//                 largest of them once in e, the scratch
//   adapter       R (in + out) of each target x 4, float32
//   optimizer     adapter x (1 + M): gradient, and what the optimizer remembers, AdamW's two
//   moments activations   N e L (2 D + 2 H E + 2 K E + 2 F + 7 R)    what a block keeps for its
//   backward
//                 pass; without 2 F with selective checkpointing, D + 7 R with true; norms of
//                 queries and keys keep H E + K E more, norms behind the halves 2 D more
//   working       N e (4 F + 6 D) + attention + logits: what one block needs while it is computed
//   reserve       1/10 of it all, and what the GPU's driver takes for itself
//
// N is the tokens of one micro-batch at its longest, L the layers; letters as in
// trainer/nn/transformer.h, whose BlockState the formula counts. Attention without a fused kernel
// (with a soft cap; on a GPU with a mask) takes four matrices (H, T, T) of one document in float32
// (trainer/ops/attention.cpp).
//
// Compared with a measurement: SmolLM2-135M, batch 4 of 256 tokens, r 16, bfloat16 on a CPU: 0.79
// GiB without the reserve, of 1.24 GiB that the whole process took (docs/models.md; libtorch itself
// is 0.3). Not compared on a GPU yet: that needs one.
#pragma once

#include <cstdint>

#include "core/config/lora_config.h"
#include "core/config/quant_config.h"
#include "core/config/train_config.h"
#include "core/model/architecture.h"

namespace mayfly {

struct TrainingShape {
  std::int64_t tokens = 1024;   // of the largest micro-batch
  std::int64_t longest = 1024;  // tokens of the longest example
  int bytes_a_number = 2;       // 2: bfloat16, 4: float32
  QuantConfig quant = {};
  Checkpointing checkpointing = Checkpointing::off;
  std::int64_t moments = 2;  // optimizer_moments()
  // No matrix (H, T, T), and logits that become their gradient in place: the CPU, and GPUs from
  // compute capability 8.0 on in a build with kernels.
  bool fused = false;
};

// In bytes.
struct TrainingMemory {
  std::int64_t weights = 0;
  std::int64_t adapter = 0;
  std::int64_t optimizer = 0;
  std::int64_t activations = 0;
  std::int64_t working = 0;
  std::int64_t reserve = 0;

  std::int64_t total() const {
    return weights + adapter + optimizer + activations + working + reserve;
  }
};

// Of one GPU. Never fails: a target module that the model does not have counts as nothing.
TrainingMemory training_memory(const Architecture& model, const LoraConfig& lora,
                               const TrainingShape& shape);

// Numbers in the adapter.
std::int64_t adapter_parameters(const Architecture& model, const LoraConfig& lora);

// Of the host: the programs and the libraries' pages. The weights are mapped from disk and go to
// the GPU file by file, so they do not count (row C-11).
std::int64_t host_memory();

}  // namespace mayfly
