#include "trainer/sft.h"

#include <utility>

#include "trainer/beginning.h"
#include "trainer/device.h"
#include "trainer/sft_run.h"
#include "trainer/stop_signal.h"

namespace mayfly {

Result<FinishedEvent> sft(const SftJob& job) {
  const TrainConfig& train = job.plan.config.train;
  set_threads(train.threads);
  const Result<ComputeDevice> device = choose_device(train.device, train.bf16);
  if (!device) return device.error();
  Result<Beginning> beginning = find_beginning(job, *device);
  if (!beginning) return beginning.error();

  Result<LoadedModel> model = load_base_model(job, *device);
  if (!model) return model.error();
  Result<LoraAdapter> adapter = load_new_adapter(job, *model);
  if (!adapter) return adapter.error();
  Result<Dataset> data = encode_data(job, *model);
  if (!data) return data.error();

  Result<SftRun> prepared =
      SftRun::prepare(job, {*device, std::move(*model), std::move(*adapter), std::move(*data)});
  if (!prepared) return prepared.error();
  SftRun& run = *prepared;
  if (Status done = run.go_on_from(*beginning); !done) return done.error();
  if (Status done = run.announce(); !done) return done.error();
  if (Status done = run.rehearse_checkpoint(); !done) return done.error();
  if (Status done = run.evaluate_if_due(); !done) return done.error();
  if (stop_requested() && !run.all_steps_done()) return run.stopped();

  while (!run.all_steps_done()) {
    if (Status done = run.step(); !done) return done.error();
    if (Status done = run.evaluate_if_due(); !done) return done.error();
    const bool stop = stop_requested() && !run.all_steps_done();
    const bool asked = take_checkpoint_request();
    if (stop || asked || run.checkpoint_is_due()) {
      if (Status done = run.checkpoint(); !done) return done.error();
    }
    if (stop) return run.stopped();
  }
  if (Status done = run.export_adapter(); !done) return done.error();
  return run.finished();
}

}  // namespace mayfly
