// One machine of a real cloud, rented and ended by the same code that runs use: what the fakes of
// tests/clouds cannot prove. Started by drills/<provider>.sh, which arms an independent reaper
// first.
//
//   cloud_drill PROVIDER RUN_ID MAX_USD_PER_HOUR PUBLIC_KEY_FILE
//
// Prints what was seen, step by step. Exit code 0: the machine ran, kept its limits, and is gone.
#include <cstdio>
#include <string>

#include "core/atomic_file.h"
#include "core/exit_code.h"
#include "core/provider/offer_choice.h"
#include "core/provider/rent.h"
#include "launcher/cloud_access.h"

namespace mayfly {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kMostOffers = 3;
constexpr Usd kSpendCap = dollars(2);

void say(const std::string& line) {
  std::printf("%s\n", line.c_str());
  std::fflush(stdout);
}

int fail(const Error& error) {
  say("FAILED: " + error.message + (error.hint.empty() ? "" : "\n  hint: " + error.hint));
  return static_cast<int>(exit_code(error.kind));
}

class SpokenJournal final : public LaunchJournal {
 public:
  Status write(const LaunchProgress& progress) override {
    last = progress;
    static constexpr const char* kNames[] = {"planned", "creating", "made"};
    say("attempt " + std::to_string(progress.attempt) + " " +
        kNames[static_cast<int>(progress.stage)] + " " + progress.id);
    return Unit{};
  }
  LaunchProgress last;
};

InstanceSpec spec_of(const std::string& run_id, const std::string& key, const Provider& provider,
                     Clock& clock) {
  InstanceSpec spec;
  spec.run_id = run_id;
  spec.user_data = "#!/bin/sh\ntrue\n";
  spec.ssh_public_key = key.substr(0, key.find('\n'));
  spec.limits.end_by = clock.now() + 1h;
  spec.limits.spend_cap = kSpendCap;
  spec.limits.power_off_ends_billing = provider.traits().power_off_ends_billing;
  return spec;
}

int drill(const std::string& name, const std::string& run_id, Usd most, const std::string& key) {
  SystemClock clock;
  const Result<Environment> environment = environment_to_rent(name, "");
  if (!environment) return fail(environment.error());
  auto provider = cloud_named(*environment, name, clock);
  if (!provider) return fail(provider.error());
  const auto all = (*provider)->offers();
  if (!all) return fail(all.error());
  OfferWish wish;
  wish.max_price = most;
  std::vector<Offer> offers = choose_offers(*all, wish);
  say(std::to_string(all->size()) + " offers, " + std::to_string(offers.size()) + " up to " +
      format_usd(most) + " an hour");
  if (offers.size() > kMostOffers) offers.resize(kMostOffers);
  for (const Offer& offer : offers) {
    say("  " + offer.instance_type + " " + offer.region + " " + gpus_text(offer) + " " +
        format_usd(offer.price.per_hour));
  }

  const SteadyTime began = clock.steady_now();
  const auto seconds = [&] {
    return std::to_string((clock.steady_now() - began).count() / 1000) + " s";
  };
  SpokenJournal journal;
  const InstanceSpec spec = spec_of(run_id, key, **provider, clock);
  const auto instance = rent(**provider, spec, offers, {}, journal, clock, RentPatience{});
  if (!instance) return fail(instance.error());
  say("runs after " + seconds() + ": " + instance->id + " " + instance->ssh_user + "@" +
      instance->address + " port " + std::to_string(instance->ssh_port));
  const auto limits = (*provider)->limits_of(instance->id);
  if (limits && limits->end_by) say("the vendor ends it by " + format_utc(*limits->end_by));
  if (limits && limits->spend_cap) say("the vendor ends it at " + format_usd(*limits->spend_cap));

  const Status gone = destroy_until_gone(**provider, instance->id, clock, kDestroyPatience);
  if (!gone) return fail(gone.error());
  say("gone after " + seconds() + ", by the vendor's own listing");
  const auto left = (*provider)->find_run(run_id);
  if (!left) return fail(left.error());
  if (!left->empty()) return fail({ErrorKind::outcome_unknown, "something is left of this run"});
  const SpendMeter meter(instance->price, instance->created_at);
  say("about " + format_usd(meter.spent(clock.now())) + " by price and time; compare the bill");
  return 0;
}

}  // namespace
}  // namespace mayfly

int main(int count, char** words) {
  using namespace mayfly;
  if (count != 5) {
    std::fprintf(stderr, "usage: cloud_drill PROVIDER RUN_ID MAX_USD_PER_HOUR PUBLIC_KEY_FILE\n");
    return static_cast<int>(ExitCode::usage);
  }
  const Result<Usd> most = parse_usd(words[3]);
  if (!most) return fail(most.error());
  const Result<std::string> key = read_file(words[4]);
  if (!key) return fail(key.error());
  return drill(words[1], words[2], *most, *key);
}
