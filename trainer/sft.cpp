#include "trainer/sft.h"

#include <algorithm>
#include <utility>

#include "trainer/beginning.h"
#include "trainer/device.h"
#include "trainer/memory_forecast.h"
#include "trainer/sft_run.h"
#include "trainer/stop_signal.h"

namespace mayfly {

namespace {

// A run that goes on keeps its batches, whatever memory the machine has now: same bits.
BatchSizes sizes_of(const SftJob& job, const Beginning& beginning, const LoadedModel& model,
                    const Dataset& data, const MachineMemory& machine,
                    const ComputeDevice& device) {
  const TrainConfig& train = job.plan.config.train;
  BatchSizes sizes = batch_sizes(train);
  if (!train.auto_batch) return sizes;
  if (!beginning.checkpoint) {
    return auto_batch(job.plan, model.transformer.architecture(), data, machine, device);
  }
  sizes.per_device = std::clamp<std::int64_t>(beginning.checkpoint->state.per_device_batch_size, 1,
                                              sizes.effective);
  sizes.accumulation = (sizes.effective + sizes.per_device - 1) / sizes.per_device;
  return sizes;
}

}  // namespace

Result<FinishedEvent> sft(const SftJob& job) {
  const TrainConfig& train = job.plan.config.train;
  set_threads(train.threads, train.devices);
  const Result<ComputeDevice> device =
      choose_device(train.device, train.bf16, job.ranks.local_rank());
  if (!device) return device.error();
  Result<Beginning> beginning = find_beginning(job, *device);
  if (!beginning) return beginning.error();

  const MachineMemory machine = machine_memory(*device);
  Result<LoadedModel> model = load_base_model(job, *device);
  if (!model) return model.error();
  Result<LoraAdapter> adapter = load_new_adapter(job, *model);
  if (!adapter) return adapter.error();
  Result<Dataset> data = encode_data(job, *model);
  if (!data) return data.error();

  const BatchSizes sizes = sizes_of(job, *beginning, *model, *data, machine, *device);
  Result<SftRun> prepared = SftRun::prepare(
      job, {*device, std::move(*model), std::move(*adapter), std::move(*data)}, sizes);
  if (!prepared) return prepared.error();
  SftRun& run = *prepared;
  job.ranks.meet();
  if (Status done = run.go_on_from(*beginning); !done) return done.error();
  if (Status done = run.announce(); !done) return done.error();
  if (Status done = run.rehearse_checkpoint(); !done) return done.error();
  if (Status done = run.evaluate_if_due(); !done) return done.error();
  const auto stops = [&] { return job.ranks.any(stop_requested()) && !run.all_steps_done(); };
  if (stops()) return run.stopped();

  while (!run.all_steps_done()) {
    if (Status done = run.step(); !done) return done.error();
    if (Status done = run.evaluate_if_due(); !done) return done.error();
    const bool stop = stops();
    const bool asked = job.ranks.any(take_checkpoint_request());
    if (stop || asked || run.checkpoint_is_due()) {
      if (Status done = run.checkpoint(); !done) return done.error();
    }
    if (stop) return run.stopped();
  }
  if (Status done = run.export_adapter(); !done) return done.error();
  return run.finished();
}

}  // namespace mayfly
