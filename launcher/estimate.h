// How long a run will take and what it will cost, from real token counts.
//
// Speed comes from the newest run of this list that trained the same model on the same kind of
// machine; without one, from arithmetic: of a GPU the roofline of core/model/gpu_table.h, of a
// processor about 4 floating-point operations a parameter and token (forward 2, backward through
// the activations 2; frozen weights have no gradient of their own) at an assumed rate.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/model/architecture.h"
#include "core/run/plan.h"
#include "core/run/spend_meter.h"
#include "core/text/dataset.h"
#include "launcher/state_file.h"

namespace mayfly {

struct Speed {
  double tokens_per_second = 1;
  std::string basis;  // in words: where the figure comes from
};

// `seen`: the newest run first is not required.
Speed expected_speed(const std::vector<KnownRun>& seen, const RunConfig& config,
                     const PlannedOffer& offer, const Architecture& model);

// How the steps of a run come about; as transformers counts them.
struct StepCount {
  std::int64_t steps_per_epoch = 0;
  std::int64_t steps = 0;
  std::int64_t whole_epochs = 0;
};
StepCount count_steps(std::int64_t sequences, const TrainConfig& train);

// Tokens of the whole run: all steps' examples at the mean length, and the held-out passes.
// `around` are the seconds before and after training.
Estimate estimate_run(const DataCounts& train, const DataCounts& held_out, const StepCount& steps,
                      const RunConfig& config, const Speed& speed, double around);
// Seconds from the create call to the first step and from the last one to the end of billing.
// local: measured, 12. attached: that, and what is fetched. A cloud: an assumption of 5 minutes to
// boot (vendors say 1 to 10), and the programs, the trainer's libraries and the model at `mbps`;
// and the libraries' unpacking.
double seconds_around(const std::string& provider, std::int64_t model_bytes,
                      const std::vector<PlannedWheel>& runtime, std::optional<double> mbps);
// What `seconds` cost, at the price, in whole billing steps.
Usd cost_of(const Price& price, double seconds);

}  // namespace mayfly
