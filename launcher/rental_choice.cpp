#include "launcher/rental_choice.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <iostream>

#include <unistd.h>

#include "core/terminal.h"
#include "launcher/cloud_access.h"
#include "launcher/desk.h"

namespace mayfly {

namespace {

constexpr std::size_t kShownToAsk = 20;  // rows that a person can weigh; the rest is dearer

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

bool is_same(const Offer& a, const Offer& b) {
  return a.provider == b.provider && a.cloud == b.cloud && a.region == b.region &&
         a.zone == b.zone && a.instance_type == b.instance_type && a.host == b.host &&
         a.spot == b.spot;
}

// The chosen offer, and behind it what may take its place.
std::vector<Offer> order_of_trying(const Offer& chosen, const std::vector<Offer>& fitting,
                                   int retry_offers) {
  std::vector<Offer> order = {chosen};
  const double most = kDearer * static_cast<double>(chosen.price.per_hour.micros);
  for (const Offer& offer : fitting) {
    if (static_cast<int>(order.size()) > retry_offers) break;
    const bool alike = offer.provider == chosen.provider && offer.gpu == chosen.gpu &&
                       offer.gpu_count == chosen.gpu_count &&
                       static_cast<double>(offer.price.per_hour.micros) <= most;
    if (alike && !is_same(offer, chosen)) order.push_back(offer);
  }
  return order;
}

}  // namespace

AskLine ask_at_terminal() {
  if (::isatty(STDIN_FILENO) == 0) return {};
  return [](const std::string& question) -> std::optional<std::string> {
    print(question);
    std::string line;
    if (!std::getline(std::cin, line)) return std::nullopt;
    return line;
  };
}

std::string offers_table(const std::vector<Offer>& offers, bool wide,
                         const std::vector<std::vector<std::string>>& more) {
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
  for (const std::vector<std::string>& column : more) {
    for (std::size_t i = 0; i < rows.size() && i < column.size(); ++i) rows[i].push_back(column[i]);
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

Error nothing_fits(const std::vector<Offer>& all, const OfferWish& wish) {
  const std::string wishes = wishes_text(wish);
  Error error{ErrorKind::no_capacity, "no offer fits, of " + std::to_string(all.size()) +
                                          " that there are" +
                                          (wishes.empty() ? "" : "; wished for: " + wishes)};
  error.hint = relaxed_text(relaxed_offers(all, wish));
  if (error.hint.empty() && !all.empty()) {
    error.hint = "to give up one or two of the wishes is not enough; see all with `launch offers`";
  }
  return error;
}

Result<RentalChoice> choose_rental(const std::vector<Offer>& all, const OfferWish& wish,
                                   int retry_offers, const Selector& selector) {
  RentalChoice choice;
  choice.fitting = choose_offers(all, wish);
  const std::vector<Offer>& fitting = choice.fitting;
  if (fitting.empty()) return nothing_fits(all, wish);
  choice.by_person = selector.named;
  if (selector.look || selector.named) {
    choice.offers = order_of_trying(fitting.front(), fitting, retry_offers);
    return choice;
  }
  const bool asks = fitting.size() > 1 && !selector.yes && selector.ask;
  const auto rows = static_cast<std::ptrdiff_t>(std::min(kShownToAsk, fitting.size()));
  const std::vector<Offer> shown(fitting.begin(), asks ? fitting.begin() + rows : fitting.end());
  if (asks && selector.show) selector.show(offers_table(shown, false));
  const Result<Offer> chosen = select_offer(shown, selector.yes, selector.ask);
  if (!chosen) return chosen.error();
  choice.by_person = asks;
  choice.offers = order_of_trying(*chosen, fitting, retry_offers);
  return choice;
}

Result<RentalChoice> rental_from_clouds(const Environment& environment, const OfferWish& wish,
                                        int retry_offers, const Selector& selector, Clock& clock) {
  const auto clouds = clouds_of(environment, wish.provider, clock);
  if (!clouds) return clouds.error();
  const CloudOffers answer = ask_for_offers(*clouds);
  if (answer.errors.size() == clouds->size()) return answer.errors.front();
  return choose_rental(answer.offers, wish, retry_offers, selector);
}

std::string offer_flags(const Offer& offer) {
  std::string flags = "--provider " + offer.provider;
  if (!offer.cloud.empty() && offer.cloud != offer.provider) flags += " --cloud " + offer.cloud;
  flags += " --region " + offer.region + " --instance-type " + offer.instance_type;
  if (offer.spot) flags += " --spot";
  return flags;
}

}  // namespace mayfly
