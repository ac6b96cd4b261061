#include "core/provider/rent.h"

#include <algorithm>
#include <cstdlib>

#include "core/log.h"

namespace mayfly {

using namespace std::chrono_literals;

namespace {

// Passes everything on, and remembers which attempt was the last.
class Watched final : public LaunchJournal {
 public:
  Watched(LaunchJournal& journal, LaunchProgress before) : journal_(journal), last_(before) {}
  Status write(const LaunchProgress& progress) override {
    last_ = progress;
    return journal_.write(progress);
  }
  const LaunchProgress& last() const {
    return last_;
  }

 private:
  LaunchJournal& journal_;
  LaunchProgress last_;
};

// The same limits again and again until they can be read: a machine that was just made may be
// missing for a moment.
Status limits_kept(Provider& provider, const InstanceId& id, const ServerLimits& asked,
                   Clock& clock, const RentPatience& patience) {
  const SteadyTime give_up_at = clock.steady_now() + patience.vanish;
  for (;;) {
    const Status kept = check_limits(provider, id, asked);
    if (kept || kept.error().kind == ErrorKind::refused) return kept;
    if (clock.steady_now() >= give_up_at) {
      return while_doing("reading back the limits of " + id, kept.error());
    }
    clock.sleep_for(patience.between_looks);
  }
}

}  // namespace

Status check_limits(Provider& provider, const InstanceId& id, const ServerLimits& asked) {
  const ProviderTraits traits = provider.traits();
  const bool time = traits.keeps_end_time && asked.end_by;
  const bool money = traits.keeps_spend_cap && asked.spend_cap;
  const bool power = traits.power_off_ends_billing && asked.power_off_ends_billing;
  if (!time && !money && !power) return Unit{};
  const Result<ServerLimits> noted = provider.limits_of(id);
  if (!noted) return noted.error();
  const auto differs = [&](const std::string& what) {
    return Error{ErrorKind::refused,
                 provider.name() + " did not keep " + what + " of instance " + id};
  };
  // An hour: some vendors count from the start of the machine, in whole hours.
  if (time && (!noted->end_by || *noted->end_by > *asked.end_by + 1h)) {
    return differs("the latest end");
  }
  constexpr std::int64_t kRounding = 10'000;  // a cent
  if (money && (!noted->spend_cap ||
                std::abs(noted->spend_cap->micros - asked.spend_cap->micros) > kRounding)) {
    return differs("the spend limit");
  }
  if (power && !noted->power_off_ends_billing) return differs("ending at power-off");
  return Unit{};
}

Result<Instance> wait_until_running(Provider& provider, const InstanceId& id, Clock& clock,
                                    const RentPatience& patience) {
  const SteadyTime began = clock.steady_now();
  std::string said = "nothing";
  for (;;) {
    const auto waited = clock.steady_now() - began;
    const Result<Instance> instance = provider.get(id);
    if (instance) {
      said = instance->detail;
      switch (instance->state) {
        case InstanceState::running:
          return instance;
        case InstanceState::failed:
          return Error{ErrorKind::failed, "instance " + id + " failed to start: " + said};
        case InstanceState::terminating:
        case InstanceState::gone:
          return Error{ErrorKind::failed, "instance " + id + " ended before it ran: " + said};
        case InstanceState::pending:
          break;
      }
    } else if (instance.error().kind == ErrorKind::unauthorized) {
      return instance.error();
    } else if (instance.error().kind == ErrorKind::not_found && waited >= patience.vanish) {
      return Error{ErrorKind::failed, "instance " + id + " vanished before it ran"};
    }
    if (patience.interrupted && patience.interrupted()) {
      return Error{ErrorKind::guard, "interrupted while instance " + id + " was booting"};
    }
    if (waited >= patience.boot) {
      return Error{ErrorKind::unreachable,
                   "instance " + id + " did not run after " +
                       format_duration(std::chrono::duration_cast<std::chrono::seconds>(waited)) +
                       "; the provider said: " + said};
    }
    clock.sleep_for(patience.between_looks);
  }
}

Result<Instance> rent(Provider& provider, const InstanceSpec& spec, std::vector<Offer> offers,
                      const LaunchProgress& before, LaunchJournal& journal, Clock& clock,
                      const RentPatience& patience) {
  LaunchProgress progress = before;
  Error failure{ErrorKind::no_capacity, "there is no offer to try"};
  while (!offers.empty()) {
    Watched watched(journal, progress);
    const Result<Instance> made =
        launch_once(provider, spec, offers, progress, watched, clock, patience.launch);
    if (!made) {
      // When the rest had no capacity, what went wrong with the one that was made says more.
      const bool nothing_more = made.error().kind == ErrorKind::no_capacity;
      return nothing_more && failure.kind != ErrorKind::no_capacity ? failure : made.error();
    }
    const Status kept = limits_kept(provider, made->id, spec.limits, clock, patience);
    Result<Instance> running = kept ? wait_until_running(provider, made->id, clock, patience)
                                    : Result<Instance>(kept.error());
    if (running) return running;

    failure = running.error();
    log_warn("the machine is destroyed: " + failure.message + " instance=" + made->id);
    const Status gone = destroy_until_gone(provider, made->id, clock, patience.destroy);
    if (!gone) {
      Error error = while_doing(failure.message, gone.error());
      error.kind = ErrorKind::outcome_unknown;
      error.hint = "instance " + made->id + " may still cost money: destroy it with `launch down " +
                   made->id + "`, or at " + provider.traits().console_url;
      return error;
    }
    const int used = std::max(1, watched.last().attempt - progress.attempt);
    progress = {LaunchStage::planned, watched.last().attempt, {}};
    if (const Status noted = journal.write(progress); !noted) return noted.error();
    // No offer of a provider that does not keep its limits will do better.
    const bool interrupted = failure.kind == ErrorKind::guard;
    if (!kept || interrupted || failure.kind == ErrorKind::unauthorized) return failure;
    offers.erase(offers.begin(),
                 offers.begin() + std::min<std::ptrdiff_t>(used, std::ssize(offers)));
  }
  return failure;
}

}  // namespace mayfly
