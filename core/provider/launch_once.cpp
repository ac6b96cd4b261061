#include "core/provider/launch_once.h"

#include <algorithm>
#include <optional>
#include <string>

#include "core/log.h"

namespace mayfly {

using namespace std::chrono_literals;

namespace {

bool is_alive(const Instance& instance) {
  return instance.state == InstanceState::pending || instance.state == InstanceState::running;
}

// The oldest living machine of the run. Others are asked to end; `launch down` and `status` see
// them if that is lost.
std::optional<Instance> keep_one(Provider& provider, std::vector<Instance> found) {
  std::erase_if(found, [](const Instance& instance) { return !is_alive(instance); });
  if (found.empty()) return std::nullopt;
  const auto oldest =
      std::min_element(found.begin(), found.end(), [](const auto& a, const auto& b) {
        return a.created_at != b.created_at ? a.created_at < b.created_at : a.id < b.id;
      });
  for (const Instance& instance : found) {
    if (instance.id == oldest->id) continue;
    log_warn("a second machine of this run exists and is asked to end instance=" + instance.id);
    if (const Status ended = provider.terminate(instance.id); !ended) {
      log_error("ending it failed: " + ended.error().message + " instance=" + instance.id);
    }
  }
  return *oldest;
}

class Launch {
 public:
  Launch(Provider& provider, LaunchJournal& journal, Clock& clock, const LaunchPatience& patience)
      : provider_(provider), journal_(journal), clock_(clock), patience_(patience) {}

  // The run's machine, or nullopt when the listing, read until the end of the patience, never
  // showed one. Error: outcome_unknown when it could not be read at the end.
  Result<std::optional<Instance>> look(const std::string& run_id) {
    const SteadyTime give_up_at = clock_.steady_now() + patience_.look_for;
    auto wait = patience_.first_wait;
    for (;;) {
      Result<std::vector<Instance>> found = provider_.find_run(run_id);
      if (found) {
        if (std::optional<Instance> kept = keep_one(provider_, std::move(*found))) return kept;
      }
      if (clock_.steady_now() >= give_up_at) {
        if (found) return std::optional<Instance>{};
        Error error = while_doing("looking for the machine of run " + run_id, found.error());
        error.kind = ErrorKind::outcome_unknown;
        error.hint =
            "a machine may exist and cost money: look with `status`, end it with "
            "`launch down`";
        return error;
      }
      clock_.sleep_for(wait);
      wait = std::min(2 * wait, patience_.longest_wait);
    }
  }

  Result<Instance> adopt(const Instance& instance, int attempt) {
    const Status noted = journal_.write({LaunchStage::made, attempt, instance.id});
    // The machine is found by its run id even so: say it, and go on with it.
    if (!noted) log_warn("noting the instance failed: " + noted.error().message);
    return instance;
  }

  // The create call of one offer. nullopt: nothing was made, and the next offer may be tried.
  Result<std::optional<Instance>> attempt(const InstanceSpec& spec) {
    if (const Status noted = journal_.write({LaunchStage::creating, spec.attempt, {}}); !noted) {
      return while_doing("noting what is about to be created", noted.error());
    }
    CreateOutcome outcome = create_when_not_busy(spec);
    if (outcome.kind == CreateOutcome::Kind::unknown) {
      Result<std::optional<Instance>> found = look(spec.run_id);
      if (!found) return found.error();
      if (*found) {
        Result<Instance> adopted = adopt(**found, spec.attempt);
        if (!adopted) return adopted.error();
        return std::optional<Instance>(std::move(*adopted));
      }
      Result<CreateOutcome> settled = settle(spec, outcome);
      if (!settled) return settled.error();
      outcome = std::move(*settled);
    }
    if (outcome.kind == CreateOutcome::Kind::refused) return refused(spec, outcome);
    return made(spec, outcome.id);
  }

  // Whether a refusal of before holds for this offer too.
  bool is_ruled_out(const Offer& offer) const {
    return std::any_of(full_.begin(), full_.end(), [&](const Offer& full) {
      return full.region == offer.region && full.cloud == offer.cloud && full.spot == offer.spot;
    });
  }

  // That a machine may exist which no listing shows.
  Error uncertain(const std::string& run_id, Error error) const {
    const std::string console = provider_.traits().console_url;
    error = while_doing("it is not known whether a machine was made for run " + run_id, error);
    error.kind = ErrorKind::outcome_unknown;
    error.hint = "it may exist and cost money: look again in some minutes with `status`" +
                 (console.empty() ? "" : ", or at " + console);
    return error;
  }

  const Error& refusal() const {
    return refusal_;
  }

 private:
  // Busy and out of reach are answers that prove that nothing was made.
  CreateOutcome create_when_not_busy(const InstanceSpec& spec) {
    const SteadyTime give_up_at = clock_.steady_now() + patience_.busy_for;
    auto wait = patience_.first_wait;
    for (;;) {
      CreateOutcome outcome = provider_.create(spec);
      const bool busy = outcome.kind == CreateOutcome::Kind::refused &&
                        (outcome.error.kind == ErrorKind::rate_limited ||
                         outcome.error.kind == ErrorKind::unreachable);
      if (!busy || clock_.steady_now() >= give_up_at) return outcome;
      const std::chrono::milliseconds asked = outcome.ask_again_after.value_or(0s);
      clock_.sleep_for(std::min(std::max(wait, asked), patience_.busy_for));
      wait = std::min(2 * wait, patience_.longest_wait);
    }
  }

  // What is known after the listing did not show a machine whose create call was not answered.
  // Error: outcome_unknown, with the place where a person can look.
  Result<CreateOutcome> settle(const InstanceSpec& spec, CreateOutcome outcome) {
    const ProviderTraits traits = provider_.traits();
    if (traits.same_create_is_safe) {
      outcome = create_when_not_busy(spec);
      if (outcome.kind != CreateOutcome::Kind::unknown) return outcome;
    } else if (traits.absence_is_proof) {
      outcome.kind = CreateOutcome::Kind::refused;
      outcome.error.kind = ErrorKind::no_capacity;
      return outcome;
    }
    return uncertain(spec.run_id, outcome.error);
  }

  Result<std::optional<Instance>> refused(const InstanceSpec& spec, const CreateOutcome& outcome) {
    refusal_ = outcome.error;
    const Status noted = journal_.write({LaunchStage::planned, spec.attempt, {}});
    if (!noted) return noted.error();
    if (outcome.region_too) full_.push_back(spec.offer);
    if (outcome.region_too || outcome.error.kind == ErrorKind::no_capacity) {
      return std::optional<Instance>{};
    }
    return outcome.error;
  }

  // From here on the id is known, whatever the listing says.
  Result<std::optional<Instance>> made(const InstanceSpec& spec, const InstanceId& id) {
    const Status noted = journal_.write({LaunchStage::made, spec.attempt, id});
    if (!noted) log_warn("noting the instance failed: " + noted.error().message);
    Result<Instance> instance = provider_.get(id);
    if (instance) return std::optional<Instance>(std::move(*instance));
    Instance pending;
    pending.id = id;
    pending.run_id = spec.run_id;
    pending.created_at = clock_.now();
    pending.price = spec.offer.price;
    return std::optional<Instance>(std::move(pending));
  }

  Provider& provider_;
  LaunchJournal& journal_;
  Clock& clock_;
  LaunchPatience patience_;
  std::vector<Offer> full_;  // refused for their whole region
  Error refusal_{ErrorKind::no_capacity, "there is no offer to try"};
};

}  // namespace

Result<Instance> launch_once(Provider& provider, InstanceSpec spec,
                             const std::vector<Offer>& offers, const LaunchProgress& before,
                             LaunchJournal& journal, Clock& clock, const LaunchPatience& patience) {
  Launch launch(provider, journal, clock, patience);
  if (before.stage != LaunchStage::planned) {
    Result<std::optional<Instance>> found = launch.look(spec.run_id);
    if (!found) return found.error();
    if (*found) return launch.adopt(**found, before.attempt);
    if (before.stage == LaunchStage::made) {
      return Error{ErrorKind::not_found,
                   "the machine of run " + spec.run_id + " was made and is gone already"};
    }
    // The earlier life may have died with its request under way.
    const ProviderTraits traits = provider.traits();
    if (!traits.absence_is_proof) {
      return launch.uncertain(spec.run_id, {ErrorKind::outcome_unknown, "the launcher was ended"});
    }
  }
  spec.attempt = before.attempt;
  for (const Offer& offer : offers) {
    spec.offer = offer;
    ++spec.attempt;
    if (launch.is_ruled_out(offer)) continue;
    Result<std::optional<Instance>> made = launch.attempt(spec);
    if (!made) return made.error();
    if (*made) return std::move(**made);
  }
  return while_doing("creating the instance", launch.refusal());
}

}  // namespace mayfly
