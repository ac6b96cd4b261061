// Who is asked for a machine, and for which: the run file's wishes with each provider's defaults.
#pragma once

#include <string>

#include "core/config/environment.h"
#include "core/config/run_config.h"
#include "core/model/architecture.h"
#include "core/model/training_memory.h"
#include "core/provider/offer_choice.h"
#include "core/result.h"

namespace mayfly {

// The provider of a run: the one that is named; "attached" where a host is; else the only cloud
// that there is a key for; else "local", this machine. Error: usage (keys for several clouds, and
// none is named).
Result<std::string> provider_for(const RunConfig& config, const Environment& environment);

// What is to be rented from `provider`. Defaults where nothing is said: shadeform B200, lium and
// lambda A100, aws a spot g4dn.xlarge (the type goes away when a GPU is named), each
// with as many GPUs as train (train.devices). With `all_configs` 1, 2, 4 and 8 GPUs. Error:
// invalid_config (instance.where has a key that offers do not tell).
Result<OfferWish> wish_for(const RunConfig& config, const std::string& provider, bool all_configs);

// What the training takes of one GPU of this offer, in the type that it computes in.
TrainingMemory memory_on(const Offer& offer, const Architecture& model, const RunConfig& config,
                         std::int64_t longest);

// Adds to `wish` that the training fits: GPU memory, host memory where the offer tells it, and a
// GPU that there are programs for.
void must_fit(OfferWish& wish, const Architecture& model, const RunConfig& config,
              std::int64_t longest);

// "yes"; or why not: "no: 17.3 of 16 GB", "no: host memory", "no: not supported".
std::string fit_text(const Offer& offer, const Architecture& model, const RunConfig& config,
                     std::int64_t longest);

}  // namespace mayfly
