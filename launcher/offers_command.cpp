#include "launcher/offers_command.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <iostream>

#include <nlohmann/json.hpp>
#include <unistd.h>

#include "core/json.h"
#include "launcher/cloud_access.h"

namespace mayfly {

using nlohmann::json;

namespace {

constexpr std::size_t kShownRows = 30;  // on a terminal's page; --json and --all have the rest

std::string yes_no(const std::optional<bool>& value) {
  if (!value) return "-";
  return *value ? "yes" : "no";
}

std::string memory(int gb) {
  return gb == 0 ? "-" : std::to_string(gb) + " GB";
}

std::string speed(const std::optional<double>& mbps) {
  return mbps ? std::to_string(static_cast<long long>(*mbps)) : "-";
}

std::string seller(const Offer& offer) {
  return offer.cloud.empty() || offer.cloud == offer.provider ? offer.provider
                                                              : offer.provider + "/" + offer.cloud;
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

Error nothing_fits(const std::vector<Offer>& all, const OfferWish& wish) {
  Error error{ErrorKind::no_capacity,
              "no offer fits, of " + std::to_string(all.size()) + " that there are"};
  error.hint = relaxed_text(relaxed_offers(all, wish));
  if (error.hint.empty() && !all.empty()) {
    error.hint = "no two wishes stand in the way alone; see all with `launch offers`";
  }
  return error;
}

std::optional<std::string> ask_at_terminal(const std::string& question) {
  print(question);
  std::string line;
  if (!std::getline(std::cin, line)) return std::nullopt;
  return line;
}

void show(const std::vector<Offer>& offers, const OffersFlags& flags, const CloudOffers& answer,
          const Desk& desk) {
  if (desk.flags.json) {
    json document = {{"schema", "mayfly.offers/1"},
                     {"time", format_utc(desk.clock.now())},
                     {"offers", json::array()},
                     {"errors", json::array()}};
    for (const Offer& offer : offers) document["offers"].push_back(offer_json(offer));
    for (const Error& error : answer.errors) document["errors"].push_back(error.message);
    print(json_line(document) + "\n");
    return;
  }
  const std::size_t rows = flags.all ? offers.size() : std::min(offers.size(), kShownRows);
  print(offers_table({offers.begin(), offers.begin() + static_cast<std::ptrdiff_t>(rows)},
                     flags.wide));
  if (rows < offers.size()) {
    print(std::to_string(offers.size() - rows) + " more: --all shows them\n");
  }
}

}  // namespace

std::string offers_table(const std::vector<Offer>& offers, bool wide) {
  std::vector<std::vector<std::string>> rows = {
      {"#", "Provider", "Region", "GPUs", "VRAM", "Price/hr", "NVLink"}};
  if (wide) {
    for (const char* name : {"Per GPU", "Type", "Spot", "Country", "CPUs", "Memory", "Disk",
                             "Up Mbit/s", "Down Mbit/s"}) {
      rows.front().emplace_back(name);
    }
  }
  for (const Offer& offer : offers) {
    std::vector<std::string> row = {std::to_string(rows.size()),
                                    seller(offer),
                                    offer.zone.empty() ? offer.region : offer.zone,
                                    gpus_text(offer),
                                    memory(offer.vram_gb),
                                    format_usd(offer.price.per_hour),
                                    yes_no(offer.nvlink)};
    if (wide) {
      const Usd per_gpu{offer.price.per_hour.micros / std::max(1, offer.gpu_count)};
      row.insert(row.end(),
                 {format_usd(per_gpu), offer.instance_type, offer.spot ? "yes" : "no",
                  offer.country, std::to_string(offer.vcpus), memory(offer.memory_gb),
                  memory(offer.disk_gb), speed(offer.upload_mbps), speed(offer.download_mbps)});
    }
    rows.push_back(std::move(row));
  }
  std::vector<Align> align = {Align::right, Align::left,  Align::left, Align::left,
                              Align::right, Align::right, Align::left};
  if (wide) align.push_back(Align::right);
  return aligned_table(rows, align) + "\nPrices are per instance-hour, VRAM is of one GPU.\n";
}

Result<Offer> select_offer(const std::vector<Offer>& offers, bool yes, const AskLine& ask) {
  if (offers.empty()) return Error{ErrorKind::no_capacity, "there is no offer to select"};
  if (offers.size() == 1 || yes) return offers.front();
  if (!ask) {
    return Error{ErrorKind::guard,
                 "there are " + std::to_string(offers.size()) +
                     " offers and there is nobody to ask which one",
                 "name one with --cloud, --region and --instance-type, or take the cheapest with "
                 "--yes"};
  }
  const std::string range = "1-" + std::to_string(offers.size());
  for (;;) {
    const std::optional<std::string> line = ask("Select instance [" + range + "] or 'q' to quit: ");
    if (!line || *line == "q" || *line == "Q") {
      return Error{ErrorKind::guard, "no instance was selected"};
    }
    std::size_t number = 0;
    const char* const end = line->data() + line->size();
    const auto [rest, error] = std::from_chars(line->data(), end, number);
    if (error == std::errc() && rest == end && number >= 1 && number <= offers.size()) {
      return offers[number - 1];
    }
  }
}

std::string offer_flags(const Offer& offer) {
  std::string flags = "--provider " + offer.provider;
  if (!offer.cloud.empty() && offer.cloud != offer.provider) flags += " --cloud " + offer.cloud;
  flags += " --region " + offer.region + " --instance-type " + offer.instance_type;
  if (offer.spot) flags += " --spot";
  return flags;
}

Result<ExitCode> offers_command(const CommandLine& line, Desk& desk) {
  const OffersFlags& flags = line.offers;
  const Result<Environment> environment = environment_with_dotenv();
  if (!environment) return environment.error();
  const auto clouds = clouds_of(*environment, flags.wish.provider, desk.clock);
  if (!clouds) return clouds.error();
  const CloudOffers answer = ask_for_offers(*clouds);
  if (answer.errors.size() == clouds->size()) return answer.errors.front();
  for (const Error& error : answer.errors) note(desk, "warning: " + error.message);

  const OfferWish wish = wish_of(flags);
  const std::vector<Offer> offers = choose_offers(answer.offers, wish);
  if (offers.empty()) return nothing_fits(answer.offers, wish);
  if (!flags.select || !desk.flags.json) show(offers, flags, answer, desk);
  if (!flags.select) return ExitCode::ok;

  const bool somebody = ::isatty(STDIN_FILENO) != 0 && !desk.flags.json;
  const Result<Offer> selected =
      select_offer(offers, desk.flags.yes, somebody ? AskLine(ask_at_terminal) : AskLine());
  if (!selected) return selected.error();
  print(desk.flags.json ? json_line(offer_json(*selected)) + "\n" : offer_flags(*selected) + "\n");
  return ExitCode::ok;
}

}  // namespace mayfly
