// One optimizer step: losses and gradients of all micro-batches, clipping, update.
#pragma once

#include <cstdint>
#include <span>

#include "trainer/nn/lora.h"
#include "trainer/nn/packed_batch.h"
#include "trainer/nn/transformer.h"
#include "trainer/optim/optimizer.h"
#include "trainer/ranks.h"

namespace mayfly {

struct StepSettings {
  double learning_rate = 0;
  double max_grad_norm = 0;  // 0: no clipping
  // Seed of the run and number of the step: together they give the dropout masks, so that a
  // resumed run draws the same ones.
  std::uint64_t seed = 0;
  std::int64_t step = 0;
  Checkpointing checkpointing = Checkpointing::off;
};

struct StepResult {
  double loss = 0;       // sum over the step's supervised tokens / their number
  double grad_norm = 0;  // before clipping
  std::int64_t tokens = 0;
  std::int64_t supervised = 0;
  bool finite = true;  // false: loss or gradient was not a finite number; nothing was updated
};

// `micro_batches`: of all of the step's the ones of this rank, every ranks.size()-th. What comes
// back is of the whole step, the same on every rank.
// REQUIRES: at least one supervised token in all micro-batches of all ranks together.
StepResult train_step(const Transformer& model, LoraAdapter& adapter, Optimizer& optimizer,
                      std::span<const PackedBatch> micro_batches, const StepSettings& settings,
                      const Ranks& ranks = Ranks());

}  // namespace mayfly
