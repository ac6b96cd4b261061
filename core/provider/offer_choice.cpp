#include "core/provider/offer_choice.h"

#include <algorithm>
#include <cctype>
#include <functional>
#include <string_view>
#include <tuple>

#include "core/provider/gpu_name.h"

namespace mayfly {

namespace {

std::string lower(std::string text) {
  for (char& letter : text) {
    letter = static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
  }
  return text;
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ",") + word;
  return text;
}

// "1.5" and "2", without what std::to_string adds.
std::string number_text(double number) {
  std::string text = std::to_string(number);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.ends_with('.')) text.pop_back();
  return text;
}

// One wish as a question about an offer, and as the flag it came from.
struct Test {
  std::string flag;
  std::function<bool(const Offer&)> fits;
};

void add_text(std::vector<Test>& tests, const std::string& flag, const std::string& wish,
              std::string Offer::*member, bool beginning) {
  if (wish.empty()) return;
  const std::string wanted = lower(wish);
  tests.push_back({flag + " " + wish, [wanted, member, beginning](const Offer& offer) {
                     const std::string is = lower(offer.*member);
                     return beginning ? is.starts_with(wanted) : is == wanted;
                   }});
}

void add_speed(std::vector<Test>& tests, const std::string& flag, std::optional<double> wish,
               std::optional<double> Offer::*member) {
  if (!wish) return;
  tests.push_back({flag + " " + number_text(*wish), [wish, member](const Offer& offer) {
                     return offer.*member && *(offer.*member) >= *wish;
                   }});
}

std::vector<Test> tests_of(const OfferWish& wish) {
  std::vector<Test> tests;
  if (!wish.gpus.empty()) {
    std::vector<std::string> models;
    for (const std::string& gpu : wish.gpus) models.push_back(gpu_model(gpu));
    tests.push_back({"--gpu " + joined(wish.gpus), [models](const Offer& offer) {
                       return std::find(models.begin(), models.end(), offer.gpu) != models.end();
                     }});
  }
  if (!wish.counts.empty()) {
    const bool one = wish.counts.size() == 1;
    tests.push_back({one ? "--num-gpus " + std::to_string(wish.counts.front()) : "--all-configs",
                     [counts = wish.counts](const Offer& offer) {
                       return std::find(counts.begin(), counts.end(), offer.gpu_count) !=
                              counts.end();
                     }});
  }
  if (wish.max_price) {
    tests.push_back(
        {"--max-price " + usd_decimal(*wish.max_price),
         [most = *wish.max_price](const Offer& offer) { return offer.price.per_hour <= most; }});
  }
  add_text(tests, "--provider", wish.provider, &Offer::provider, false);
  add_text(tests, "--cloud", wish.cloud, &Offer::cloud, false);
  add_text(tests, "--region", wish.region, &Offer::region, true);
  add_text(tests, "--zone", wish.zone, &Offer::zone, false);
  add_text(tests, "--instance-type", wish.instance_type, &Offer::instance_type, false);
  add_text(tests, "--country", wish.country, &Offer::country, false);
  add_text(tests, "--city", wish.city, &Offer::city, false);
  add_speed(tests, "--min-upload", wish.min_upload_mbps, &Offer::upload_mbps);
  add_speed(tests, "--min-download", wish.min_download_mbps, &Offer::download_mbps);
  if (wish.nvlink) {
    tests.push_back({*wish.nvlink ? "--nvlink" : "--no-nvlink",
                     [yes = *wish.nvlink](const Offer& offer) { return offer.nvlink == yes; }});
  }
  if (wish.spot) {
    tests.push_back({*wish.spot ? "--spot" : "--no-spot",
                     [yes = *wish.spot](const Offer& offer) { return offer.spot == yes; }});
  }
  if (wish.disk_gb) {
    tests.push_back(
        {"--disk-gb " + std::to_string(*wish.disk_gb),
         [least = *wish.disk_gb](const Offer& offer) { return offer.disk_gb >= least; }});
  }
  if (wish.fits) tests.push_back({wish.fits_flag, wish.fits});
  return tests;
}

// With disks as wished for, and the prices that go with them.
std::vector<Offer> with_disks(std::vector<Offer> offers, const OfferWish& wish) {
  for (Offer& offer : offers) {
    const int enough = std::max(offer.disk_gb, offer.image_gb + wish.work_disk_gb);
    offer = with_disk(std::move(offer), wish.disk_gb.value_or(enough));
  }
  return offers;
}

auto rank(const Offer& offer) {
  using Text = std::string_view;
  return std::tuple(offer.price.per_hour, -offer.gpu_count * offer.vram_gb, Text(offer.provider),
                    Text(offer.cloud), Text(offer.region), Text(offer.zone),
                    Text(offer.instance_type), Text(offer.host), offer.spot);
}

bool cheaper(const Offer& a, const Offer& b) {
  return rank(a) < rank(b);
}

// Looks at all offers with the wishes numbered `a` and `b` given up.
std::optional<Relaxed> without(const std::vector<Offer>& offers, const std::vector<Test>& tests,
                               std::size_t a, std::size_t b) {
  Relaxed found;
  for (const Offer& offer : offers) {
    bool fits = true;
    for (std::size_t i = 0; i < tests.size() && fits; ++i) {
      fits = i == a || i == b || tests[i].fits(offer);
    }
    if (!fits) continue;
    if (found.offers == 0 || cheaper(offer, found.cheapest)) found.cheapest = offer;
    ++found.offers;
  }
  if (found.offers == 0) return std::nullopt;
  found.given_up = tests[a].flag + (a == b ? "" : " and " + tests[b].flag);
  return found;
}

}  // namespace

std::vector<Offer> choose_offers(const std::vector<Offer>& offers, const OfferWish& wish) {
  const std::vector<Test> tests = tests_of(wish);
  std::vector<Offer> chosen;
  for (Offer& offer : with_disks(offers, wish)) {
    const bool fits =
        std::all_of(tests.begin(), tests.end(), [&](const Test& test) { return test.fits(offer); });
    if (fits) chosen.push_back(std::move(offer));
  }
  std::sort(chosen.begin(), chosen.end(), cheaper);
  return chosen;
}

std::vector<Relaxed> relaxed_offers(const std::vector<Offer>& all, const OfferWish& wish) {
  const std::vector<Offer> offers = with_disks(all, wish);
  const std::vector<Test> tests = tests_of(wish);
  std::vector<Relaxed> relaxed;
  for (std::size_t a = 0; a < tests.size(); ++a) {
    if (auto found = without(offers, tests, a, a)) relaxed.push_back(std::move(*found));
  }
  if (!relaxed.empty()) return relaxed;
  for (std::size_t a = 0; a < tests.size(); ++a) {
    for (std::size_t b = a + 1; b < tests.size(); ++b) {
      if (auto found = without(offers, tests, a, b)) relaxed.push_back(std::move(*found));
    }
  }
  return relaxed;
}

std::string relaxed_text(const std::vector<Relaxed>& relaxed) {
  std::string text;
  for (const Relaxed& found : relaxed) {
    const Offer& offer = found.cheapest;
    const std::string count =
        found.offers == 1 ? "1 offer" : std::to_string(found.offers) + " offers, the cheapest";
    text += (text.empty() ? "" : "\n") + ("without " + found.given_up + ": " + count + " ") +
            gpus_text(offer) + " at " + format_usd(offer.price.per_hour) + " per instance-hour (" +
            offer.provider + " " + offer.region + ")";
  }
  return text;
}

std::string wishes_text(const OfferWish& wish) {
  std::string text;
  for (const Test& test : tests_of(wish)) text += (text.empty() ? "" : ", ") + test.flag;
  return text;
}

Offer with_disk(Offer offer, int disk_gb) {
  constexpr std::int64_t kHoursAMonth = 720;
  if (!offer.disk_gb_month) return offer;
  const auto per_hour = [&](std::int64_t gb) {
    return (offer.disk_gb_month->micros * gb + kHoursAMonth - 1) / kHoursAMonth;
  };
  offer.price.per_hour.micros += per_hour(disk_gb) - per_hour(offer.disk_gb);
  offer.disk_gb = disk_gb;
  return offer;
}

std::string gpus_text(const Offer& offer) {
  if (offer.gpu_count == 0) return "CPU";
  return std::to_string(offer.gpu_count) + "x" + offer.gpu;
}

}  // namespace mayfly
