#include "trainer/evaluate.h"

#include <cassert>

#include "core/clock.h"
#include "core/text/dataset.h"
#include "trainer/load_model.h"
#include "trainer/nn/packed_batch.h"

namespace mayfly {

namespace {

// Tokens computed at once: enough to keep the cores busy, little memory. Fixed, because the order
// of additions, and so the last bits of the loss, depends on it.
constexpr std::size_t kBatchTokens = 2048;

}  // namespace

std::optional<HeldOutLoss> held_out_loss(const Transformer& model, const LoraAdapter* adapter,
                                         const std::vector<Example>& examples,
                                         const std::function<bool(std::int64_t done)>& go_on,
                                         const Ranks& ranks) {
  HeldOutLoss total;
  double sum = 0;
  std::size_t next = 0;
  int turn = 0;
  while (next < examples.size()) {
    if (!go_on(static_cast<std::int64_t>(next)) && ranks.size() == 1) return std::nullopt;
    std::vector<DocumentView> documents;
    std::size_t tokens = 0;
    while (next < examples.size() &&
           (documents.empty() || tokens + examples[next].ids.size() <= kBatchTokens)) {
      documents.push_back({examples[next].ids, examples[next].trained});
      tokens += examples[next].ids.size();
      ++next;
    }
    if (turn++ % ranks.size() != ranks.rank()) continue;
    const PackedBatch batch = pack(documents, model.device());
    total.tokens += batch.supervised();
    if (batch.supervised() > 0) sum += model.loss_sum(batch, adapter);
  }
  total.tokens = ranks.sum(total.tokens);
  sum = ranks.sum(sum);
  assert(total.tokens > 0);
  total.examples = static_cast<std::int64_t>(examples.size());
  total.loss = sum / static_cast<double>(total.tokens);
  return total;
}

Result<HeldOutLoss> evaluate(const EvaluateRequest& request) {
  SystemClock clock;
  Result<LoadedModel> model =
      load_model(request.model_dir, clock.now(), request.device, request.quant);
  if (!model) return model.error();
  if (Status taken = model->text.take_template_of(request.adapter_dir, clock.now()); !taken) {
    return taken.error();
  }
  const Result<std::optional<LoraAdapter>> adapter =
      load_adapter(model->transformer, request.adapter_dir);
  if (!adapter) return adapter.error();
  const Result<Dataset> data = load_dataset(request.data, model->text, {});
  if (!data) return data.error();
  return *held_out_loss(model->transformer, *adapter ? &**adapter : nullptr, data->train,
                        [](std::int64_t) { return true; });
}

}  // namespace mayfly
