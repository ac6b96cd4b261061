// Held-out loss: the mean cross entropy over the trained tokens of examples, without dropout.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/config/data_config.h"
#include "core/config/quant_config.h"
#include "core/result.h"
#include "core/text/chat.h"
#include "trainer/device.h"
#include "trainer/nn/lora.h"
#include "trainer/nn/transformer.h"
#include "trainer/ranks.h"

namespace mayfly {

struct HeldOutLoss {
  double loss = 0;  // nats a token
  std::int64_t tokens = 0;
  std::int64_t examples = 0;
};

// `go_on` is called between batches with the examples done; false: give up, the answer is nullopt.
// Several ranks take turns, batch by batch, and do not give up: they would have to agree on it.
// `adapter` nullptr: the base model. REQUIRES: at least one trained token.
std::optional<HeldOutLoss> held_out_loss(const Transformer& model, const LoraAdapter* adapter,
                                         const std::vector<Example>& examples,
                                         const std::function<bool(std::int64_t done)>& go_on,
                                         const Ranks& ranks = Ranks());

// `train eval`: all of it from folders and files.
struct EvaluateRequest {
  std::string model_dir;
  std::string adapter_dir;  // "": the base model
  DataConfig data;
  ComputeDevice device;
  QuantConfig quant = {};
};
Result<HeldOutLoss> evaluate(const EvaluateRequest& request);

}  // namespace mayfly
