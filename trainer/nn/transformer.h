// The one decoder for all families: forward and, for adapters only, backward.
//
//   N  tokens of a packed batch    D  width          H, K  query and key-value heads
//   E  width of a head             F  feed-forward   V     vocabulary        S  supervised rows
//
// The backward pass is written out by hand rather than recorded: with frozen weights it is a page,
// it keeps per layer only what it needs (and makes again what is cheap), and frees it on the way
// back. Norm, rope, SwiGLU, attention and loss are in trainer/ops. Kept of a block, in elements:
//
//   checkpointing off           N (2 D + 2 HE + 2 KE + 2 F)
//   selective (feed_forward)    N (2 D + 2 HE + 2 KE)        gate and up are made again
//   true (blocks)               N D                          all but the last product is
//
// and the adapters' small P. Norms of queries and keys keep N (HE + KE) more (but with blocks),
// norms behind the halves N D for each half (with blocks for the second). What is made again is the
// same bit for bit.
//
// Rounding is that of transformers' LlamaModel in the same type, for all families: OLMo 2's norm
// there rounds once where ours rounds twice, Granite's logits are divided after the product, not
// before, and Gemma 2's scores are rounded before the softmax, where ours are float32. Not
// thread-safe; one device. Same inputs, same number of threads: the same bits on the CPU.
#pragma once

#include <cstdint>
#include <vector>

#include <ATen/core/Tensor.h>

#include "core/config/train_config.h"
#include "core/model/architecture.h"
#include "trainer/nn/lora.h"
#include "trainer/nn/packed_batch.h"
#include "trainer/nn/rope.h"
#include "trainer/nn/weights.h"

namespace mayfly {

// How one micro-batch is trained on.
struct GradientSettings {
  double loss_scale = 1.0;         // the gradient of loss_scale · (sum of losses) is added
  std::uint64_t dropout_seed = 0;  // used when the adapter has dropout
  Checkpointing checkpointing = Checkpointing::off;
};

class Transformer {
 public:
  Transformer(Architecture architecture, DecoderWeights weights);

  const Architecture& architecture() const {
    return architecture_;
  }
  at::Device device() const {
    return weights_.embedding.device();
  }
  at::ScalarType type() const {
    return weights_.embedding.scalar_type();
  }

  // Sum over batch.loss_rows of the cross entropy, in nats. `adapter` nullptr: the base model.
  double loss_sum(const PackedBatch& batch, const LoraAdapter* adapter) const;

  // The same, with the adapter's dropout, and adds its gradient to adapter.gradients().
  double accumulate_gradients(const PackedBatch& batch, LoraAdapter& adapter,
                              const GradientSettings& settings) const;

  // (N, V) float32: for comparisons and short texts.
  at::Tensor logits(const PackedBatch& batch, const LoraAdapter* adapter) const;

  const DecoderWeights& weights() const {
    return weights_;
  }
  const RopeTable& rope() const {
    return rope_;
  }

 private:
  Architecture architecture_;
  DecoderWeights weights_;
  RopeTable rope_;
};

}  // namespace mayfly
