#include "trainer/sft_run.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>
#include <sys/resource.h>
#include <torch/version.h>

#include "core/atomic_file.h"
#include "core/config/data_files.h"
#include "core/json.h"
#include "core/sha256.h"
#include "trainer/evaluate.h"
#include "trainer/nn/packed_batch.h"
#include "trainer/run_identity.h"
#include "trainer/seeds.h"
#include "trainer/snapshot.h"
#include "trainer/step.h"
#include "trainer/stop_signal.h"
#include "version.h"

namespace mayfly {

namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kMostSkippedInARow = 10;

std::uint64_t seed_of(const RunPlan& plan) {
  return static_cast<std::uint64_t>(plan.seed);
}

fs::path model_dir(const SftJob& job) {
  return job.plan.model_dir.empty() ? job.directory.model() : fs::path(job.plan.model_dir);
}

// How is computed, for people and for the run's identity. A checkpoint that is quantised itself is
// known by its own digest.
std::string type_text(at::ScalarType type, const QuantConfig& quant) {
  const std::string text = type == at::kBFloat16 ? "bfloat16" : "float32";
  if (!quant.bits) return text;
  return text + (quant.double_quant ? ", weights in NF4 (double)" : ", weights in NF4");
}

double seconds_between(SteadyTime from, SteadyTime to) {
  return std::chrono::duration<double>(to - from).count();
}

std::unique_ptr<Optimizer> optimizer_of(const SftJob& job, const LoraAdapter& adapter) {
  std::vector<at::Tensor> tensors;
  for (const NamedTensor& tensor : adapter.named(adapter.values())) {
    tensors.push_back(tensor.value);
  }
  return make_optimizer(job.plan.config.train, adapter.values(), tensors);
}

// Peak resident set. Linux counts ru_maxrss in KiB.
std::int64_t memory_bytes() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return std::int64_t{usage.ru_maxrss} * 1024;
}

Result<std::vector<DataFileFact>> data_files(const DataConfig& data) {
  std::vector<DataFileFact> facts;
  std::optional<Error> failure;
  for_each_data_file(data, [&](const std::string&, const std::string& path) {
    const Result<std::string> digest = sha256_file(path);
    if (digest) facts.push_back({fs::path(path).filename().string(), *digest});
    if (!digest && !failure) failure = digest.error();
  });
  if (failure) return *failure;
  return facts;
}

}  // namespace

Result<LoadedModel> load_base_model(const SftJob& job, const ComputeDevice& device) {
  if (Status told = job.report.tell(StageEvent{"load", 0, 1}); !told) return told.error();
  // The plan's day, not today's: a template that writes the date must write the same after a stop.
  const WallTime today = job.plan.created_at;
  auto model = load_model(model_dir(job), today, device, job.plan.config.quant);
  if (!model) return model;
  if (Status chosen = model->text.choose_template(job.plan.config.data, today); !chosen) {
    return chosen.error();
  }
  return model;
}

Result<LoraAdapter> load_new_adapter(const SftJob& job, const LoadedModel& model) {
  Result<LoraAdapter> adapter =
      make_adapter(model.transformer, job.plan.config.lora, seed_of(job.plan));
  if (!adapter) return adapter.error();
  if (Status told = job.report.tell(StageEvent{"load", 1, 1}); !told) return told.error();
  return adapter;
}

Result<Dataset> encode_data(const SftJob& job, const LoadedModel& model) {
  if (Status told = job.report.tell(StageEvent{"encode", 0, 1}); !told) return told.error();
  const DataConfig& config = job.plan.config.data;
  Result<Dataset> data = load_dataset(config, model.text, [&](std::int64_t done, std::int64_t of) {
    job.report.progress("encode", done, of);
  });
  if (!data || !config.save_splits) return data;
  if (Status written = write_splits(*data, job.directory.data()); !written) return written.error();
  data->train_rows = {};
  data->validation_rows = {};
  return data;
}

SftRun::SftRun(const SftJob& job, SftParts parts, Batches batches)
    : job_(job),
      parts_(std::move(parts)),
      batches_(std::move(batches)),
      schedule_(make_schedule(job.plan.config.train, batches_.total_steps(job.plan.config.train))),
      optimizer_(optimizer_of(job, parts_.adapter)),
      hooks_(job.plan.config.train.hooks, job.directory.root) {
  state_.total_steps = batches_.total_steps(job.plan.config.train);
  state_.steps_per_epoch = batches_.steps_per_epoch();
}

Result<SftRun> SftRun::prepare(const SftJob& job, SftParts parts, const BatchSizes& sizes) {
  const RunConfig& config = job.plan.config;
  const Result<std::string> model = model_digest(model_dir(job));
  if (!model) return model.error();
  Result<std::vector<DataFileFact>> files = data_files(config.data);
  if (!files) return files.error();
  Batches batches(static_cast<std::int64_t>(parts.data.sequences.size()), sizes,
                  data_order_seed(seed_of(job.plan)), config.data.shuffle);

  SftRun run(job, std::move(parts), std::move(batches));
  const std::string type = type_text(run.parts_.device.type, config.quant);
  run.state_.identity = run_identity(job.plan, run.parts_.data, run.parts_.adapter.shape(), type,
                                     run.state_.total_steps);
  run.state_.identity["model"] = *model;
  run.state_.per_device_batch_size = sizes.per_device;
  run.facts_ = {.data = std::move(*files),
                .mix = run.parts_.data.sources,
                .examples = run.parts_.data.train_counts.examples,
                .tokens_trained_on = run.parts_.data.train_counts.tokens_trained_on,
                .adapter = run.describe_adapter(),
                .device = run.parts_.device.name,
                .type = type,
                .version = kVersion,
                .torch_version = TORCH_VERSION};
  return run;
}

Status SftRun::agree_with_first() {
  const Ranks& ranks = job_.ranks;
  if (ranks.size() == 1) return Unit{};
  const std::string said = ranks.from_first(resume_json(state_).dump());
  for (const Optimizer::Moment& moment : optimizer_->moments()) ranks.take_from_first(moment.flat);
  ranks.take_from_first(parts_.adapter.values());
  parts_.adapter.refresh();
  const Result<nlohmann::json> parsed = parse_json(said, "rank 0");
  if (!parsed) return parsed.error();
  Result<TrainingState> first = training_state_from_json(*parsed);
  if (!first) return first.error();
  if (Status same = check_identity(first->identity, state_.identity, "rank 0"); !same) return same;
  state_ = std::move(*first);
  optimizer_->set_steps(state_.step - state_.skipped);
  return Unit{};
}

Status SftRun::go_on_from(const Beginning& beginning) {
  if (Status done = take_checkpoint(beginning); !done) return done;
  return agree_with_first();
}

Status SftRun::take_checkpoint(const Beginning& beginning) {
  if (!beginning.checkpoint) return job_.report.go_on_from(0);
  const Checkpoint& checkpoint = *beginning.checkpoint;
  if (Status same =
          check_identity(checkpoint.state.identity, state_.identity, checkpoint.folder.string());
      !same) {
    return same;
  }
  if (Status taken = restore(parts_.adapter, checkpoint.adapter); !taken) return taken;
  if (Status taken = restore(*optimizer_, parts_.adapter, checkpoint.optimizer); !taken) {
    return taken;
  }
  optimizer_->set_steps(checkpoint.state.step - checkpoint.state.skipped);
  state_ = checkpoint.state;
  if (Status kept = job_.report.go_on_from(state_.step); !kept) return kept;
  const bool own = checkpoint.folder == job_.directory.checkpoint(state_.step);
  return own ? tell_checkpoint(checkpoint.bytes) : Status(Unit{});
}

Status SftRun::announce() {
  const Dataset& data = parts_.data;
  for (const std::string& warning : data.warnings) {
    if (Status told = job_.report.tell(WarningEvent{"data", warning, ""}); !told) return told;
  }
  return job_.report.tell(DataEvent{.examples = data.train_counts.examples,
                                    .tokens = data.train_counts.tokens,
                                    .tokens_trained_on = data.train_counts.tokens_trained_on,
                                    .truncated = data.train_counts.truncated,
                                    .dropped = data.train_counts.dropped,
                                    .validation_examples = data.validation_counts.examples,
                                    .total_steps = state_.total_steps});
}

Status SftRun::rehearse_checkpoint() {
  if (!writes()) return Unit{};
  const Snapshot adapter = adapter_snapshot(parts_.adapter);
  const Snapshot optimizer = optimizer_snapshot(parts_.adapter, *optimizer_);
  // Side by side stand those that are kept, the one being written, and the adapter at the end.
  const TrainConfig& train = job_.plan.config.train;
  const std::int64_t in_all = static_cast<std::int64_t>(std::ceil(train.epochs)) +
                              (train.save_steps ? state_.total_steps / *train.save_steps : 0);
  const std::int64_t copies = std::min(in_all, train.save_total_limit + 1) + 1;
  if (Status done =
          mayfly::rehearse_checkpoint(job_.directory, content(adapter, optimizer), copies);
      !done) {
    return done;
  }
  return job_.report.tell(StageEvent{"steps", state_.step, state_.total_steps});
}

std::vector<PackedBatch> SftRun::next_batches() {
  std::vector<PackedBatch> batches;
  const auto all = batches_.of_step(state_.step);
  const auto ranks = static_cast<std::size_t>(job_.ranks.size());
  for (auto i = static_cast<std::size_t>(job_.ranks.rank()); i < all.size(); i += ranks) {
    const std::vector<std::uint32_t>& sequences = all[i];
    std::vector<DocumentView> documents;
    for (const std::uint32_t sequence : sequences) {
      for (const std::uint32_t row : parts_.data.sequences[sequence]) {
        const Example& example = parts_.data.train[row];
        documents.push_back({example.ids, example.trained});
      }
    }
    batches.push_back(pack(documents, parts_.model.transformer.device()));
  }
  return batches;
}

Status SftRun::step() {
  const SteadyTime began = job_.clock.steady_now();
  const std::vector<PackedBatch> batches = next_batches();
  const bool any = std::any_of(batches.begin(), batches.end(),
                               [](const PackedBatch& batch) { return batch.supervised() > 0; });
  if (!job_.ranks.any(any)) {
    return Error{ErrorKind::bad_data,
                 "step " + std::to_string(state_.step + 1) + " has no token to train on",
                 "its rows train only their first token, which nothing comes before"};
  }
  const double rate = learning_rate_at(schedule_, state_.step);
  const StepResult result =
      train_step(parts_.model.transformer, parts_.adapter, *optimizer_, batches,
                 StepSettings{.learning_rate = rate,
                              .max_grad_norm = job_.plan.config.train.max_grad_norm,
                              .seed = dropout_seed(seed_of(job_.plan)),
                              .step = state_.step,
                              .checkpointing = job_.plan.config.train.gradient_checkpointing},
                 job_.ranks);
  if (!result.finite) return skip_step();
  const double seconds = seconds_between(began, job_.clock.steady_now());
  state_.seconds += seconds;
  const StepEvent event{
      .step = state_.step + 1,
      .of = state_.total_steps,
      .epoch = static_cast<double>(state_.step + 1) / static_cast<double>(state_.steps_per_epoch),
      .loss = result.loss,
      .learning_rate = rate,
      .grad_norm = result.grad_norm,
      .tokens = result.tokens,
      .tokens_per_second = static_cast<double>(result.tokens) / std::max(seconds, 1e-9),
      .memory_bytes = memory_bytes()};
  note_step(state_, event, job_.plan.config.train.logging_steps);
  if (Status told = job_.report.tell(event); !told) return told;
  return hook("on_step", {{"LOSS", std::to_string(event.loss)}});
}

Status SftRun::hook(std::string_view moment, std::map<std::string, std::string> facts) {
  if (!writes()) return Unit{};
  facts["STEP"] = std::to_string(state_.step);
  facts["STEPS"] = std::to_string(state_.total_steps);
  const std::optional<WarningEvent> warning = hooks_.run(moment, facts);
  return warning ? job_.report.tell(*warning) : Status(Unit{});
}

// Nothing was updated. The next step has other rows, so going on may help.
Status SftRun::skip_step() {
  const std::string what = "step " + std::to_string(state_.step + 1) +
                           ": the loss or its gradient is not a finite number";
  const bool skips = job_.plan.config.train.nan_policy == NanPolicy::skip;
  const std::int64_t before = state_.skipped_in_a_row;
  if (!skips || before + 1 >= kMostSkippedInARow) {
    return Error{
        ErrorKind::diverged,
        what + (skips ? ", as in the " + std::to_string(before) + " before it" : " any more"),
        "lower train.learning_rate or lengthen the warm-up; the checkpoints before are good"};
  }
  note_skipped_step(state_);
  return job_.report.tell(
      WarningEvent{"skipped_step", what, "train.nan_policy: skip leaves the step out"});
}

Status SftRun::evaluate_if_due() {
  const auto& every = job_.plan.config.train.eval_steps;
  const bool due = state_.step == 0 || all_steps_done() || (every && state_.step % *every == 0);
  const auto& made = state_.evaluations;
  const bool known = !made.empty() && made.back().step == state_.step;
  if (!due || known || parts_.data.validation.empty()) return Unit{};
  const auto examples = static_cast<std::int64_t>(parts_.data.validation.size());
  const auto held_out = held_out_loss(
      parts_.model.transformer, &parts_.adapter, parts_.data.validation,
      [&](std::int64_t done) {
        job_.report.progress("evaluate", done, examples);
        return !stop_requested() || all_steps_done();
      },
      job_.ranks);
  if (!held_out) return Unit{};
  if (!std::isfinite(held_out->loss)) {
    return Error{
        ErrorKind::diverged,
        "the held-out loss at step " + std::to_string(state_.step) + " is not a finite number",
        state_.step == 0 ? "the base model itself gives it: check model.base, or set "
                           "train.bf16: false"
                         : "lower train.learning_rate; the checkpoints before are good"};
  }
  const EvaluatedEvent event{.step = state_.step,
                             .loss = held_out->loss,
                             .examples = held_out->examples,
                             .tokens = held_out->tokens};
  note_evaluation(state_, event);
  if (Status told = job_.report.tell(event); !told) return told;
  const bool early = state_.step < state_.total_steps && all_steps_done();
  return early ? tell_early_stop() : Status(Unit{});
}

Status SftRun::tell_early_stop() {
  return job_.report.tell(WarningEvent{
      "early_stop",
      "training ends at step " + std::to_string(state_.step) + " of " +
          std::to_string(state_.total_steps) + ": the last held-out losses, " +
          std::to_string(*job_.plan.config.train.early_stop_patience) +
          " of them, are not below the best before",
      "train.early_stop_patience asks for that; the adapter is that of the last step"});
}

bool SftRun::checkpoint_is_due() const {
  const auto& every = job_.plan.config.train.save_steps;
  return all_steps_done() || state_.whole_epoch() || (every && state_.step % *every == 0);
}

Status SftRun::checkpoint() {
  if (!writes()) return Unit{};
  const Snapshot adapter = adapter_snapshot(parts_.adapter);
  const Snapshot optimizer = optimizer_snapshot(parts_.adapter, *optimizer_);
  const Result<std::int64_t> bytes = write_checkpoint(job_.directory, content(adapter, optimizer));
  if (!bytes) return bytes.error();
  if (Status told = tell_checkpoint(*bytes); !told) return told;
  const std::string path = job_.directory.checkpoint(state_.step).string();
  if (Status done = hook("on_checkpoint", {{"CHECKPOINT", path}}); !done) return done;
  if (const auto epoch = state_.whole_epoch()) {
    const std::map<std::string, std::string> facts = {{"CHECKPOINT", path},
                                                      {"EPOCH", std::to_string(*epoch)}};
    if (Status done = hook("on_epoch", facts); !done) return done;
  }
  return delete_old_checkpoints(job_.directory, job_.plan.config.train.save_total_limit);
}

Status SftRun::tell_checkpoint(std::int64_t bytes) {
  const fs::path path = job_.directory.checkpoint(state_.step);
  return job_.report.tell(
      CheckpointEvent{.step = state_.step,
                      .epoch = state_.epoch(),
                      .whole_epoch = state_.whole_epoch(),
                      .path = path.lexically_relative(job_.directory.root).string(),
                      .bytes = bytes});
}

Status SftRun::export_adapter() {
  if (!writes()) return Unit{};
  if (Status told = job_.report.tell(StageEvent{"export", 0, 1}); !told) return told;
  const Snapshot adapter = adapter_snapshot(parts_.adapter);
  if (Status done = publish_adapter(job_.directory, adapter_files(adapter)); !done) return done;
  return hook("on_end", {{"ADAPTER", job_.directory.adapter().string()}});
}

FinishedEvent SftRun::stopped() const {
  return {.steps = state_.step, .seconds = state_.seconds, .stopped = true, .path = ""};
}

FinishedEvent SftRun::finished() const {
  return {.steps = state_.step,
          .seconds = state_.seconds,
          .stopped = false,
          .path = job_.directory.adapter().filename().string()};
}

AdapterDescription SftRun::describe_adapter() const {
  const LoraShape& shape = parts_.adapter.shape();
  AdapterDescription description{.base = job_.plan.config.model.base,
                                 .rank = shape.rank,
                                 .alpha = shape.alpha,
                                 .dropout = shape.dropout,
                                 .use_rslora = shape.use_rslora,
                                 .use_dora = shape.use_dora,
                                 .targets = {}};
  for (const Projection target : shape.targets) {
    description.targets.emplace_back(projection_name(target));
  }
  return description;
}

AdapterFiles SftRun::adapter_files(const Snapshot& adapter) const {
  const bool card = job_.plan.config.hub.model_card;
  const bool own_template = job_.plan.config.data.chat_template != "tokenizer";
  return {
      .tensors = adapter.stored,
      .config = adapter_config_json(facts_.adapter),
      .model_card = card ? model_card(job_.plan, state_, facts_) : "",
      .model_dir = model_dir(job_),
      .chat_template = own_template ? parts_.model.text.config().chat_template.value_or("") : ""};
}

CheckpointContent SftRun::content(const Snapshot& adapter, const Snapshot& optimizer) const {
  return {.adapter = adapter_files(adapter),
          .optimizer = optimizer.stored,
          .trainer_state = json_text(trainer_state_json(state_, job_.plan.config.train)),
          .state = state_};
}

}  // namespace mayfly
