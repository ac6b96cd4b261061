#include "trainer/step.h"

#include <cassert>
#include <cmath>

#include "trainer/ops/random.h"
#include "trainer/optim/clip.h"

namespace mayfly {

StepResult train_step(const Transformer& model, LoraAdapter& adapter, Optimizer& optimizer,
                      std::span<const PackedBatch> micro_batches, const StepSettings& settings,
                      const Ranks& ranks) {
  StepResult result;
  for (const PackedBatch& batch : micro_batches) {
    result.tokens += batch.token_count();
    result.supervised += batch.supervised();
  }
  result.tokens = ranks.sum(result.tokens);
  result.supervised = ranks.sum(result.supervised);
  assert(result.supervised > 0);

  adapter.gradients().zero_();
  // Every supervised token of the step weighs the same, in whichever micro-batch it is.
  const double loss_scale = 1.0 / static_cast<double>(result.supervised);
  const std::uint64_t step_seed =
      derive_seed(settings.seed, static_cast<std::uint64_t>(settings.step));
  double loss_sum = 0;
  for (std::size_t i = 0; i < micro_batches.size(); ++i) {
    const std::size_t of_step =
        i * static_cast<std::size_t>(ranks.size()) + static_cast<std::size_t>(ranks.rank());
    loss_sum +=
        model.accumulate_gradients(micro_batches[i], adapter,
                                   GradientSettings{.loss_scale = loss_scale,
                                                    .dropout_seed = derive_seed(step_seed, of_step),
                                                    .checkpointing = settings.checkpointing});
  }
  ranks.sum(adapter.gradients());
  result.loss = ranks.sum(loss_sum) * loss_scale;
  result.grad_norm = clip_to_norm(adapter.gradients(), settings.max_grad_norm);
  result.finite = std::isfinite(result.loss) && std::isfinite(result.grad_norm);
  if (!result.finite) return result;

  optimizer.step(adapter.values(), adapter.gradients(), settings.learning_rate);
  adapter.refresh();
  return result;
}

}  // namespace mayfly
