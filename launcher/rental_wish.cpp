#include "launcher/rental_wish.h"

#include "core/model/gpu_table.h"
#include "core/provider/registry.h"
#include "launcher/figures.h"

namespace mayfly {

namespace {

bool has_key(const CloudRow& row, const Environment& environment) {
  const auto given = [&](std::string_view name) {
    const auto found = environment.find(std::string(name));
    return found != environment.end() && !found->second.empty();
  };
  return given(row.key_variable) && (row.key_id_variable.empty() || given(row.key_id_variable));
}

// What the offer says, else the card's own.
std::int64_t gpu_memory_gb(const Offer& offer) {
  if (offer.vram_gb > 0) return offer.vram_gb;
  const auto row = gpu_row(offer.gpu);
  return row ? row->memory_gb : 0;
}

enum class Fit { yes, memory, host, unsupported };

Fit fit_of(const Offer& offer, const Architecture& model, const RunConfig& config,
           std::int64_t longest) {
  const auto row = gpu_row(offer.gpu);
  if (offer.gpu_count == 0 || (row && !row->is_supported)) return Fit::unsupported;
  const TrainingMemory memory = memory_on(offer, model, config, longest);
  if (memory.total() > kGigabyte * gpu_memory_gb(offer)) return Fit::memory;
  if (offer.memory_gb > 0 && host_memory() > kGigabyte * offer.memory_gb) return Fit::host;
  return Fit::yes;
}

}  // namespace

Result<std::string> provider_for(const RunConfig& config, const Environment& environment) {
  if (config.provider != ProviderName::automatic) return std::string(enum_name(config.provider));
  if (config.instance.host) return std::string(enum_name(ProviderName::attached));
  std::string with_key, list;
  int clouds = 0;
  for (const CloudRow& row : cloud_rows()) {
    if (!has_key(row, environment)) continue;
    ++clouds;
    with_key = row.name;
    list += (list.empty() ? "" : ", ") + std::string(row.name);
  }
  if (clouds == 0) return std::string("local");
  if (clouds == 1) return with_key;
  return Error{ErrorKind::usage, "there are keys for several clouds: " + list,
               "name one with --provider, or local for this machine"};
}

Result<OfferWish> wish_for(const RunConfig& config, const std::string& provider, bool all_configs) {
  const InstanceConfig& instance = config.instance;
  OfferWish wish;
  wish.provider = provider;
  wish.gpus = instance.gpu;
  wish.instance_type = instance.type.value_or("");
  wish.cloud = instance.cloud.value_or("");
  wish.region = instance.region.value_or("");
  wish.zone = instance.zone.value_or("");
  wish.max_price = instance.max_price;
  wish.country = instance.country.value_or("");
  wish.min_upload_mbps = instance.min_upload_mbps;
  wish.min_download_mbps = instance.min_download_mbps;
  wish.nvlink = instance.nvlink;
  if (instance.disk_gb) wish.disk_gb = static_cast<int>(*instance.disk_gb);
  wish.spot = instance.spot.value_or(provider == "aws");
  for (const auto& [key, value] : instance.where) {
    if (key != "city") {
      return Error{ErrorKind::invalid_config,
                   "instance.where." + key + " is nothing that offers tell", "they tell: city"};
    }
    wish.city = value;
  }
  const bool says_what = !wish.gpus.empty() || !wish.instance_type.empty();
  if (!says_what) {
    if (provider == "aws") {
      wish.instance_type = "g4dn.xlarge";
    } else {
      wish.gpus = {provider == "shadeform" ? "B200" : "A100"};
    }
  }
  if (all_configs) {
    wish.counts = {1, 2, 4, 8};
  } else if (instance.num_gpus) {
    wish.counts = {static_cast<int>(*instance.num_gpus)};
  } else if (wish.instance_type.empty()) {
    wish.counts = {static_cast<int>(config.train.devices)};
  }
  return wish;
}

TrainingMemory memory_on(const Offer& offer, const Architecture& model, const RunConfig& config,
                         std::int64_t longest) {
  const auto row = gpu_row(offer.gpu);
  const bool wants_float = config.train.bf16.has_value() && !*config.train.bf16;
  TrainingShape shape;
  shape.tokens = batch_sizes(config.train).per_device * longest;
  shape.longest = longest;
  shape.quant = config.quant;
  shape.checkpointing = config.train.gradient_checkpointing;
  shape.moments = optimizer_moments(config.train);
  shape.bytes_a_number = wants_float ? 4 : row ? bytes_a_number(*row) : 2;
  return training_memory(model, config.lora, shape);
}

void must_fit(OfferWish& wish, const Architecture& model, const RunConfig& config,
              std::int64_t longest) {
  wish.fits_flag =
      "the need of " + format_gb(memory_on({}, model, config, longest).total()) + " of GPU memory";
  wish.fits = [model, config, longest](const Offer& offer) {
    return fit_of(offer, model, config, longest) == Fit::yes;
  };
}

std::string fit_text(const Offer& offer, const Architecture& model, const RunConfig& config,
                     std::int64_t longest) {
  switch (fit_of(offer, model, config, longest)) {
    case Fit::yes:
      return "yes";
    case Fit::memory:
      return "no: needs " + format_gb(memory_on(offer, model, config, longest).total());
    case Fit::host:
      return "no: host memory";
    case Fit::unsupported:
      return "no: not supported";
  }
  return "";
}

}  // namespace mayfly
