#include "launcher/pricing.h"

#include <algorithm>
#include <cmath>

#include <unistd.h>

#include "core/config/run_config.h"
#include "launcher/attached_host.h"
#include "launcher/estimate.h"
#include "launcher/figures.h"
#include "launcher/rental_wish.h"

namespace mayfly {

namespace {

// The longest that batches are made of, never more than the cut.
std::int64_t longest_of(const PlannedRun& planned) {
  return std::max<std::int64_t>(1, planned.train.longest_sequence);
}

// In `there` bytes of memory, by the processor.
void weigh_on_processor(PlannedRun& planned, std::int64_t there, const std::string& machine) {
  const RunConfig& config = planned.plan.config;
  TrainingShape shape;
  shape.longest = longest_of(planned);
  shape.tokens = batch_sizes(config.train).per_device * shape.longest;
  shape.bytes_a_number = config.train.bf16.value_or(true) ? 2 : 4;
  shape.quant = config.quant;
  shape.checkpointing = config.train.gradient_checkpointing;
  shape.moments = optimizer_moments(config.train);
  planned.memory = training_memory(planned.architecture, config.lora, shape);
  if (there <= 0 || planned.memory.total() * config.train.devices <= there) return;
  planned.mistakes.push_back("training needs about " + format_gb(planned.memory.total()) +
                             " of memory and " + machine + " has " + format_gb(there) +
                             ": a smaller train.per_device_batch_size or data.cutoff_len, or a "
                             "smaller model");
}

void weigh_here(PlannedRun& planned) {
  weigh_on_processor(planned, std::int64_t{::sysconf(_SC_PHYS_PAGES)} * ::sysconf(_SC_PAGESIZE),
                     "this machine");
}

void weigh_on_gpu(PlannedRun& planned, const Offer& offer) {
  planned.memory = memory_on(offer, planned.architecture, planned.plan.config, longest_of(planned));
  const std::string fits =
      fit_text(offer, planned.architecture, planned.plan.config, longest_of(planned));
  if (fits == "yes") return;
  planned.mistakes.push_back("it does not fit " + gpus_text(offer) + " (" + fits +
                             "): `launch offers --fits MODEL` shows what does");
}

// Libraries, model, system and checkpoints beside each other.
std::int64_t disk_needed(const PlannedRun& planned, const std::vector<PlannedWheel>& runtime) {
  constexpr std::int64_t kSystemAndCheckpoints = 8'000'000'000;
  return disk_bytes(runtime) + planned.model_bytes + kSystemAndCheckpoints;
}

void weigh_disk(PlannedRun& planned, const Offer& offer) {
  const std::int64_t needed = disk_needed(planned, planned.plan.runtime);
  const int left_gb = offer.disk_gb - offer.image_gb;
  if (offer.disk_gb <= 0 || needed <= kGigabyte * left_gb) return;
  std::string text = "the run needs about " + format_gb(needed) + " of disk, " +
                     format_gb(disk_bytes(planned.plan.runtime)) +
                     " of it for the trainer's libraries, and this machine has " +
                     std::to_string(std::max(left_gb, 0)) + " GB";
  if (offer.image_gb > 0) text += " beside its system's " + std::to_string(offer.image_gb);
  planned.mistakes.push_back(text + (offer.disk_gb_month ? ": a larger --disk-gb" : ""));
}

// What is paid for and not used.
void note_waste(PlannedRun& planned, const Offer& offer, double around) {
  const std::int64_t devices = planned.plan.config.train.devices;
  if (offer.gpu_count > 0 && devices > offer.gpu_count) {
    planned.mistakes.push_back("train.devices is " + std::to_string(devices) +
                               ", and the machine has " + gpus_text(offer) +
                               ": training would not start");
  } else if (offer.gpu_count > devices) {
    const std::int64_t unused = offer.gpu_count - devices;
    const Usd idle{planned.plan.estimate.cost.micros * unused / offer.gpu_count};
    const std::string training =
        devices == 1 ? "one GPU trains" : std::to_string(devices) + " GPUs train";
    planned.mistakes.push_back(
        training + ", so " + std::to_string(unused) + " of the " + std::to_string(offer.gpu_count) +
        " GPUs would stand idle, about " + format_usd(idle) + " of the bill: --num-gpus " +
        std::to_string(devices) + ", or --devices " + std::to_string(offer.gpu_count));
  }
  const double training = planned.plan.estimate.seconds - around;
  const bool rented = offer.provider != "local" && offer.provider != "attached";
  if (rented && training < around / 10) {
    planned.mistakes.push_back(
        "training takes about " + duration(training) + " and the machine's start and end " +
        duration(around) + ": the data (" + std::to_string(planned.train.examples) +
        " examples) is too little to rent for; --provider local trains it here");
  }
}

void note_limits(PlannedRun& planned) {
  const LimitsConfig& limits = planned.plan.config.limits;
  std::vector<std::string>& notes = planned.notes;
  if (planned.plan.estimate.cost > limits.spend_limit) {
    notes.push_back(
        "the estimate is above the spend limit: the run will be ended before it is "
        "done, with what is saved by then");
  }
  if (limits.ttl_hours && planned.plan.estimate.seconds > *limits.ttl_hours * 3600) {
    notes.push_back("the estimate is longer than limits.ttl_hours: the run will be ended early");
  }
  if (planned.plan.offer.price.per_hour.micros == 0) {
    notes.push_back("the machine is free, so the spend limit cannot fire; give --price to try it");
  }
}

// What was wished for of a rented machine, on one of one's own.
void note_unused_wishes(const InstanceConfig& instance, std::vector<std::string>& notes) {
  std::string names;
  const auto add = [&names](bool given, const char* name) {
    if (given) names += (names.empty() ? "instance." : ", instance.") + std::string(name);
  };
  add(!instance.gpu.empty(), "gpu");
  add(instance.num_gpus.has_value(), "num_gpus");
  add(instance.type.has_value(), "type");
  add(instance.cloud.has_value(), "cloud");
  add(instance.region.has_value(), "region");
  add(instance.zone.has_value(), "zone");
  add(instance.spot.has_value(), "spot");
  add(instance.max_price.has_value(), "max_price");
  add(instance.country.has_value(), "country");
  add(!instance.where.empty(), "where");
  add(instance.min_upload_mbps.has_value(), "min_upload_mbps");
  add(instance.min_download_mbps.has_value(), "min_download_mbps");
  add(instance.nvlink.has_value(), "nvlink");
  add(instance.disk_gb.has_value(), "disk_gb");
  if (!names.empty()) notes.push_back("the machine is taken as it is; not used: " + names);
}

}  // namespace

int disk_gb_for(const PlannedRun& planned) {
  constexpr double kMore = 1.2;
  const auto needed = static_cast<double>(disk_needed(planned, pinned_runtime(true)));
  return static_cast<int>(std::ceil(needed * kMore / static_cast<double>(kGigabyte)));
}

Status put_on_host(PlannedRun& planned, const std::vector<KnownRun>& known,
                   const std::filesystem::path& state_dir) {
  const RunConfig& config = planned.plan.config;
  const Result<SshHost> host = attached_host(config);
  if (!host) return host.error();
  Result<HostFacts> facts = look_at_host(*host, state_dir);
  if (!facts) return facts.error();
  if (!facts->lacks.empty()) {
    std::string list;
    for (const std::string& one : facts->lacks) list += (list.empty() ? "" : ", ") + one;
    return Error{ErrorKind::unsupported, host->address + " lacks what a run needs: " + list};
  }
  facts->offer.price.per_hour = config.instance.price.value_or(Usd{});
  planned.offers = {facts->offer};
  planned.fitting = planned.offers;
  planned.machine_named = true;
  planned.notes.push_back("nothing is rented: " + host->address +
                          " goes on when the run ends, and so does its bill; end it yourself");
  if (facts->runs > 0) {
    planned.notes.push_back("the host has " + std::to_string(facts->runs) +
                            " other runs of mayfly, or what is left of them, in ~/.mayfly");
  }
  return put_on(planned, facts->offer, known);
}

Status put_on(PlannedRun& planned, const Offer& offer, const std::vector<KnownRun>& known) {
  RunPlan& plan = planned.plan;
  const RunConfig& config = plan.config;
  plan.offer.provider = offer.provider;
  plan.offer.instance_type = offer.instance_type;
  plan.offer.region = offer.region;
  plan.offer.gpu = offer.gpu;
  plan.offer.gpu_count = offer.gpu_count;
  plan.offer.price = offer.price;
  const bool local = offer.provider == "local";

  const Speed speed = expected_speed(known, config, plan.offer, planned.architecture);
  if (!local) plan.runtime = pinned_runtime(offer.gpu_count > 0);
  const double around =
      seconds_around(offer.provider, planned.model_bytes, plan.runtime, offer.download_mbps);
  plan.estimate =
      estimate_run(planned.train, planned.held_out, planned.steps, config, speed, around);
  plan.estimate.cost = cost_of(plan.offer.price, plan.estimate.seconds);
  if (local || offer.provider == "attached") note_unused_wishes(config.instance, planned.notes);
  if (local) {
    weigh_here(planned);
  } else {
    if (offer.provider == "attached" && offer.gpu_count == 0) {
      weigh_on_processor(planned, kGigabyte * offer.memory_gb, "the host");
    } else {
      weigh_on_gpu(planned, offer);
    }
    weigh_disk(planned, offer);
  }
  note_waste(planned, offer, around);
  note_limits(planned);
  const auto& most = config.limits.max_cost_per_launch;
  if (most && plan.estimate.cost > *most) {
    return Error{ErrorKind::guard,
                 "the run is estimated at " + format_usd(plan.estimate.cost) +
                     ", above limits.max_cost_per_launch " + format_usd(*most),
                 "raise that limit, or train less: fewer epochs, less data"};
  }
  return Unit{};
}

}  // namespace mayfly
