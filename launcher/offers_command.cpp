#include "launcher/offers_command.h"

#include <algorithm>
#include <cstdlib>

#include <nlohmann/json.hpp>

#include "core/config/run_config.h"
#include "core/json.h"
#include "core/store/hub_session.h"
#include "launcher/cloud_access.h"
#include "launcher/figures.h"
#include "launcher/remote_model.h"
#include "launcher/rental_choice.h"
#include "launcher/rental_wish.h"

namespace mayfly {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

constexpr std::size_t kShownRows = 30;  // on a terminal's page; --json and --all have the rest

// The model of --fits, and how it would be trained: the defaults of a run file.
struct Fitting {
  Architecture model;
  RunConfig config;
};

// A folder, or a hub id of the hub that HF_ENDPOINT names.
Result<Fitting> model_to_fit(const std::string& name, Clock& clock) {
  Fitting fitting;
  fitting.config.model.base = name;
  std::error_code code;
  fs::path folder = name;
  if (is_hub_id(name, fs::current_path(code))) {
    const HubAddress address = hub_address_from([](const char* variable) {
      const char* const value = std::getenv(variable);
      return std::string(value == nullptr ? "" : value);
    });
    HubChoice hub;
    hub.endpoint = address.endpoint;
    hub.token = address.token;
    const Result<RemoteModel> model = preview_model(fitting.config.model, hub, clock);
    if (!model) return model.error();
    folder = model->folder;
  }
  Result<Architecture> model = read_architecture(folder);
  if (!model) return while_doing("--fits " + name, model.error());
  fitting.model = std::move(*model);
  return fitting;
}

json offer_json(const Offer& offer) {
  const auto maybe = [](const auto& value) { return value ? json(*value) : json(nullptr); };
  const double price = static_cast<double>(offer.price.per_hour.micros) / 1e6;
  return {{"provider", offer.provider},
          {"cloud", offer.cloud},
          {"region", offer.region},
          {"zone", offer.zone},
          {"instance_type", offer.instance_type},
          {"host", offer.host},
          {"gpu", offer.gpu},
          {"gpu_count", offer.gpu_count},
          {"vram_gb", offer.vram_gb},
          {"usd_per_instance_hour", price},
          {"usd_per_gpu_hour", offer.gpu_count > 0 ? json(price / offer.gpu_count) : json(nullptr)},
          {"billing_step_seconds", offer.price.billing_step.count()},
          {"nvlink", maybe(offer.nvlink)},
          {"spot", offer.spot},
          {"country", offer.country},
          {"city", offer.city},
          {"upload_mbps", maybe(offer.upload_mbps)},
          {"download_mbps", maybe(offer.download_mbps)},
          {"vcpus", offer.vcpus},
          {"memory_gb", offer.memory_gb},
          {"disk_gb", offer.disk_gb}};
}

OfferWish wish_of(const OffersFlags& flags) {
  OfferWish wish = flags.wish;
  if (flags.all_configs) wish.counts = {1, 2, 4, 8};
  return wish;
}

std::vector<std::string> fits_column(const std::vector<Offer>& offers, const Fitting& fitting) {
  std::vector<std::string> column = {"Fits"};
  for (const Offer& offer : offers) {
    column.push_back(
        fit_text(offer, fitting.model, fitting.config, fitting.config.data.cutoff_len));
  }
  return column;
}

void show_json(const std::vector<Offer>& offers, const std::vector<Error>& errors,
               const std::optional<Fitting>& fitting, const Desk& desk) {
  json document = {{"schema", "mayfly.offers/1"},
                   {"time", format_utc(desk.clock.now())},
                   {"offers", json::array()},
                   {"errors", json::array()}};
  for (const Offer& offer : offers) {
    json row = offer_json(offer);
    if (fitting) {
      const std::int64_t longest = fitting->config.data.cutoff_len;
      row["fits"] = fit_text(offer, fitting->model, fitting->config, longest) == "yes";
      row["needs_bytes"] = memory_on(offer, fitting->model, fitting->config, longest).total();
    }
    document["offers"].push_back(std::move(row));
  }
  for (const Error& error : errors) document["errors"].push_back(error.message);
  print(json_line(document) + "\n");
}

void show(const std::vector<Offer>& offers, const OffersFlags& flags,
          const std::optional<Fitting>& fitting) {
  const std::size_t rows = flags.all ? offers.size() : std::min(offers.size(), kShownRows);
  const std::vector<Offer> shown(offers.begin(),
                                 offers.begin() + static_cast<std::ptrdiff_t>(rows));
  std::vector<std::vector<std::string>> more;
  if (fitting) more.push_back(fits_column(shown, *fitting));
  print(offers_table(shown, flags.wide, more));
  if (rows < offers.size()) {
    print(std::to_string(offers.size() - rows) + " more: --all shows them\n");
  }
  if (!fitting) return;
  const std::int64_t longest = fitting->config.data.cutoff_len;
  const auto need = memory_on({}, fitting->model, fitting->config, longest).total();
  print("Fits: LoRA r " + std::to_string(fitting->config.lora.r) + ", one example of " +
        std::to_string(longest) + " tokens at once, bfloat16: " + format_gb(need) +
        " on one GPU, by arithmetic.\n");
}

}  // namespace

Result<ExitCode> offers_command(const CommandLine& line, Desk& desk) {
  const OffersFlags& flags = line.offers;
  std::optional<Fitting> fitting;
  if (!flags.fits.empty()) {
    Result<Fitting> model = model_to_fit(flags.fits, desk.clock);
    if (!model) return model.error();
    fitting = std::move(*model);
  }
  const Result<Environment> environment =
      environment_to_rent(flags.wish.provider, flags.wish.region);
  if (!environment) return environment.error();
  const auto clouds = clouds_of(*environment, flags.wish.provider, desk.clock);
  if (!clouds) return clouds.error();
  const CloudOffers answer = ask_for_offers(*clouds);
  if (answer.errors.size() == clouds->size()) return answer.errors.front();
  for (const Error& error : answer.errors) note(desk, "warning: " + error.message);

  const OfferWish wish = wish_of(flags);
  const std::vector<Offer> offers = choose_offers(answer.offers, wish);
  if (offers.empty()) return nothing_fits(answer.offers, wish);
  if (!flags.select && desk.flags.json) {
    show_json(offers, answer.errors, fitting, desk);
  } else if (!desk.flags.json) {
    show(offers, flags, fitting);
  }
  if (!flags.select) return ExitCode::ok;

  const Result<Offer> selected =
      select_offer(offers, desk.flags.yes, desk.flags.json ? AskLine() : ask_at_terminal());
  if (!selected) return selected.error();
  print(desk.flags.json ? json_line(offer_json(*selected)) + "\n" : offer_flags(*selected) + "\n");
  return ExitCode::ok;
}

}  // namespace mayfly
