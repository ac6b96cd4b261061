#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "core/config/field.h"

namespace mayfly {

enum class Device { automatic, cuda, cpu };
template <>
struct EnumNames<Device> {
  static constexpr std::array values = {std::pair{Device::automatic, std::string_view("auto")},
                                        std::pair{Device::cuda, std::string_view("cuda")},
                                        std::pair{Device::cpu, std::string_view("cpu")}};
};

enum class LrScheduler { cosine, linear, constant, constant_with_warmup, wsd };
template <>
struct EnumNames<LrScheduler> {
  static constexpr std::array values = {
      std::pair{LrScheduler::cosine, std::string_view("cosine")},
      std::pair{LrScheduler::linear, std::string_view("linear")},
      std::pair{LrScheduler::constant, std::string_view("constant")},
      std::pair{LrScheduler::constant_with_warmup, std::string_view("constant_with_warmup")},
      std::pair{LrScheduler::wsd, std::string_view("wsd")}};
};

enum class OptimizerKind { adamw, sgd, muon };
template <>
struct EnumNames<OptimizerKind> {
  static constexpr std::array values = {std::pair{OptimizerKind::adamw, std::string_view("adamw")},
                                        std::pair{OptimizerKind::sgd, std::string_view("sgd")},
                                        std::pair{OptimizerKind::muon, std::string_view("muon")}};
};

// What becomes of a step whose loss or gradient is not a finite number.
enum class NanPolicy { stop, skip };
template <>
struct EnumNames<NanPolicy> {
  static constexpr std::array values = {std::pair{NanPolicy::stop, std::string_view("stop")},
                                        std::pair{NanPolicy::skip, std::string_view("skip")}};
};

// What of the forward pass is made again in the backward pass instead of being kept.
enum class Checkpointing { off, feed_forward, blocks };
template <>
struct EnumNames<Checkpointing> {
  static constexpr std::array values = {
      std::pair{Checkpointing::off, std::string_view("false")},
      std::pair{Checkpointing::feed_forward, std::string_view("selective")},
      std::pair{Checkpointing::blocks, std::string_view("true")}};
};

// When train.hooks may run a command.
inline constexpr std::array<std::string_view, 4> kHookMoments = {"on_step", "on_checkpoint",
                                                                 "on_epoch", "on_end"};

// How the adapter is trained.
struct TrainConfig {
  Device device = Device::automatic;
  std::optional<std::int64_t> threads;
  std::int64_t devices = 1;
  std::int64_t nodes = 1;
  std::chrono::seconds rank_timeout{60};
  double epochs = 1.0;
  std::optional<std::int64_t> max_steps;
  std::optional<std::int64_t> per_device_batch_size;
  std::optional<std::int64_t> gradient_accumulation;
  std::optional<std::int64_t> effective_batch_size;
  bool auto_batch = false;
  double learning_rate = 2e-4;
  double min_learning_rate = 0.0;
  LrScheduler lr_scheduler = LrScheduler::cosine;
  std::optional<std::int64_t> warmup_steps;
  std::optional<double> warmup_ratio;
  double decay_ratio = 0.1;
  OptimizerKind optimizer = OptimizerKind::adamw;
  std::optional<double> momentum;
  double adam_beta1 = 0.9;
  double adam_beta2 = 0.999;
  double adam_eps = 1e-8;
  double weight_decay = 0.0;
  double max_grad_norm = 1.0;
  NanPolicy nan_policy = NanPolicy::stop;
  std::optional<bool> bf16;
  Checkpointing gradient_checkpointing = Checkpointing::off;
  std::int64_t logging_steps = 10;
  std::optional<std::int64_t> eval_steps;
  std::optional<std::int64_t> early_stop_patience;
  double early_stop_min_delta = 0.0;
  std::optional<std::int64_t> save_steps;
  std::int64_t save_total_limit = 2;
  std::optional<std::string> resume_from;
  std::map<std::string, std::string> hooks;

  static constexpr void fields(auto&& field) {
    using Self = TrainConfig;
    field("device", &Self::device,
          FieldDoc{.doc = "Where to train; auto: the GPU if there is one.", .flag = "--device"});
    field("threads", &Self::threads,
          FieldDoc{.doc = "Threads on the CPU; default: one a core.",
                   .flag = "--threads",
                   .at_least = 1,
                   .at_most = 1024});
    field("devices", &Self::devices,
          FieldDoc{.doc = "Processes that train together on this machine, each on a GPU of its own "
                          "or a share of the cores.",
                   .flag = "--devices",
                   .alias = "nproc_per_node",
                   .at_least = 1,
                   .at_most = 64});
    field("nodes", &Self::nodes,
          FieldDoc{.doc = "Machines that train together. `train` is started on each by hand or by "
                          "torchrun, whose variables it reads; `launch` rents one.",
                   .alias = "nnodes",
                   .at_least = 1,
                   .at_most = 64});
    field("rank_timeout", &Self::rank_timeout,
          FieldDoc{.doc = "Longest that one of these processes may keep the others waiting.",
                   .at_least = 1,
                   .at_most = 86400});
    field("epochs", &Self::epochs,
          FieldDoc{.doc = "How often every row is trained on.",
                   .flag = "--epochs",
                   .at_least = 0.001,
                   .at_most = 10000});
    field("max_steps", &Self::max_steps,
          FieldDoc{.doc = "Stop after so many optimizer steps; wins over epochs.",
                   .unit = "steps",
                   .flag = "--max-steps",
                   .alias = "total_steps",
                   .at_least = 1});
    field("per_device_batch_size", &Self::per_device_batch_size,
          FieldDoc{.doc = "Examples computed at once; default 1, or what the other two imply.",
                   .unit = "examples",
                   .flag = "--batch-size",
                   .alias = "batch_size,per_device_train_batch_size",
                   .at_least = 1,
                   .at_most = 65536});
    field("gradient_accumulation", &Self::gradient_accumulation,
          FieldDoc{.doc = "Such batches added up before each optimizer step.",
                   .flag = "--gradient-accumulation",
                   .alias = "gradient_accumulation_steps,grad_accum_steps",
                   .at_least = 1,
                   .at_most = 1048576});
    field("effective_batch_size", &Self::effective_batch_size,
          FieldDoc{.doc = "per_device_batch_size x gradient_accumulation x GPUs; give any two.",
                   .unit = "examples",
                   .at_least = 1});
    field(
        "auto_batch", &Self::auto_batch,
        FieldDoc{.doc = "Compute as many examples at once as fit the memory; effective_batch_size "
                        "stays as given.",
                 .flag = "--auto-batch"});
    field("learning_rate", &Self::learning_rate,
          FieldDoc{.doc = "Highest learning rate, reached after warm-up.",
                   .flag = "--learning-rate",
                   .at_least = 0,
                   .at_most = 10});
    field("min_learning_rate", &Self::min_learning_rate,
          FieldDoc{.doc = "Learning rate at the end of a cosine, linear or wsd schedule.",
                   .flag = "--min-learning-rate",
                   .at_least = 0,
                   .at_most = 10});
    field("lr_scheduler", &Self::lr_scheduler,
          FieldDoc{.doc = "How the learning rate falls after warm-up.", .flag = "--lr-scheduler"});
    field("warmup_steps", &Self::warmup_steps,
          FieldDoc{.doc = "Steps in which the learning rate rises from 0.",
                   .unit = "steps",
                   .at_least = 0});
    field("warmup_ratio", &Self::warmup_ratio,
          FieldDoc{.doc = "The same as a share of all steps; give one of the two.",
                   .flag = "--warmup-ratio",
                   .at_least = 0,
                   .at_most = 1});
    field("decay_ratio", &Self::decay_ratio,
          FieldDoc{.doc = "Of wsd (warm-up, stable, decay): the last share of all steps, in which "
                          "the learning rate falls.",
                   .alias = "warmdown_ratio",
                   .at_least = 0,
                   .at_most = 1});
    field(
        "optimizer", &Self::optimizer,
        FieldDoc{.doc = "AdamW; plain gradient descent (sgd); or Muon, which makes each matrix of "
                        "the update orthogonal and takes learning rates as AdamW's.",
                 .flag = "--optimizer"});
    field("momentum", &Self::momentum,
          FieldDoc{
              .doc = "Of sgd and muon; default: 0 and 0.95.", .at_least = 0, .at_most = 0.999999});
    field("adam_beta1", &Self::adam_beta1,
          FieldDoc{.doc = "AdamW: decay of the first moment.", .at_least = 0, .at_most = 0.999999});
    field(
        "adam_beta2", &Self::adam_beta2,
        FieldDoc{.doc = "AdamW: decay of the second moment.", .at_least = 0, .at_most = 0.9999999});
    field("adam_eps", &Self::adam_eps,
          FieldDoc{.doc = "AdamW: term that keeps the division finite.", .at_least = 0});
    field("weight_decay", &Self::weight_decay,
          FieldDoc{.doc = "Weight decay of the adapter; decoupled, but for sgd.",
                   .flag = "--weight-decay",
                   .at_least = 0,
                   .at_most = 10});
    field("max_grad_norm", &Self::max_grad_norm,
          FieldDoc{.doc = "Gradients are scaled down to this norm; 0: never.", .at_least = 0});
    field(
        "nan_policy", &Self::nan_policy,
        FieldDoc{.doc = "Of a step whose loss or gradient is not finite: stop the run, or skip the "
                        "step; ten skipped in a row stop it too."});
    field("bf16", &Self::bf16,
          FieldDoc{.doc = "Compute in bfloat16; default: where the processor has it. The adapter "
                          "and the optimizer stay in float32.",
                   .flag = "--bf16"});
    field("gradient_checkpointing", &Self::gradient_checkpointing,
          FieldDoc{.doc = "Less memory for more time. true: of each block only its input is kept, "
                          "and the block is computed again on the way back; selective: only its "
                          "feed-forward part is. The result is the same.",
                   .flag = "--gradient-checkpointing"});
    field("logging_steps", &Self::logging_steps,
          FieldDoc{.doc = "Print a line so often when there is no progress bar.",
                   .unit = "steps",
                   .flag = "--logging-steps",
                   .at_least = 1});
    field("eval_steps", &Self::eval_steps,
          FieldDoc{.doc = "Held-out loss so often, besides start and end of training.",
                   .unit = "steps",
                   .flag = "--eval-steps",
                   .at_least = 1});
    field(
        "early_stop_patience", &Self::early_stop_patience,
        FieldDoc{.doc = "End the run after so many held-out losses in a row that are not below the "
                        "best one before; default: never.",
                 .flag = "--early-stop-patience",
                 .at_least = 1});
    field("early_stop_min_delta", &Self::early_stop_min_delta,
          FieldDoc{.doc = "How far below counts as below.", .unit = "nats", .at_least = 0});
    field("save_steps", &Self::save_steps,
          FieldDoc{.doc = "Checkpoint so often, besides the end of each epoch.",
                   .unit = "steps",
                   .at_least = 1});
    field("save_total_limit", &Self::save_total_limit,
          FieldDoc{.doc = "Checkpoints kept on disk; those not uploaded yet are never deleted.",
                   .at_least = 1});
    field("resume_from", &Self::resume_from,
          FieldDoc{.doc = "Go on from this checkpoint folder, or `latest` of the run's own.",
                   .flag = "--resume-from",
                   .is_path = true});
    field(
        "hooks", &Self::hooks,
        FieldDoc{.doc = "Shell commands at on_step, on_checkpoint, on_epoch and on_end, run beside "
                        "the trainer: {on_checkpoint: cp -r $MAYFLY_CHECKPOINT /mnt}."});
  }
};
static_assert(field_count<TrainConfig>() == member_count<TrainConfig>());

}  // namespace mayfly
