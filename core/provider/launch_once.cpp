#include "core/provider/launch_once.h"

#include <algorithm>
#include <optional>
#include <string>

#include "core/log.h"

namespace mayfly {

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

  // One create call. nullopt: nothing was made, and the next offer may be tried.
  Result<std::optional<Instance>> attempt(const InstanceSpec& spec) {
    if (const Status noted = journal_.write({LaunchStage::creating, spec.attempt, {}}); !noted) {
      return while_doing("noting what is about to be created", noted.error());
    }
    const CreateOutcome outcome = provider_.create(spec);
    if (outcome.kind == CreateOutcome::Kind::refused) {
      refusal_ = outcome.error;
      const Status noted = journal_.write({LaunchStage::planned, spec.attempt, {}});
      if (!noted) return noted.error();
      if (outcome.error.kind == ErrorKind::no_capacity) return std::optional<Instance>{};
      return outcome.error;
    }
    if (outcome.kind == CreateOutcome::Kind::made) {
      // From here on the id is known, whatever the listing says.
      const Status noted = journal_.write({LaunchStage::made, spec.attempt, outcome.id});
      if (!noted) log_warn("noting the instance failed: " + noted.error().message);
      Result<Instance> made = provider_.get(outcome.id);
      if (made) return std::optional<Instance>(std::move(*made));
      Instance pending;
      pending.id = outcome.id;
      pending.run_id = spec.run_id;
      pending.created_at = clock_.now();
      pending.price = spec.offer.price;
      return std::optional<Instance>(std::move(pending));
    }
    Result<std::optional<Instance>> found = look(spec.run_id);
    if (!found) return found.error();
    if (!*found) {
      // Looked for and not there: now it is known that nothing was made.
      refusal_ = outcome.error;
      refusal_.kind = ErrorKind::unreachable;
      return std::optional<Instance>{};
    }
    Result<Instance> adopted = adopt(**found, spec.attempt);
    if (!adopted) return adopted.error();
    return std::optional<Instance>(std::move(*adopted));
  }

  const Error& refusal() const {
    return refusal_;
  }

 private:
  Provider& provider_;
  LaunchJournal& journal_;
  Clock& clock_;
  LaunchPatience patience_;
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
  }
  spec.attempt = before.attempt;
  for (const Offer& offer : offers) {
    spec.offer = offer;
    ++spec.attempt;
    Result<std::optional<Instance>> made = launch.attempt(spec);
    if (!made) return made.error();
    if (*made) return std::move(**made);
  }
  return while_doing("creating the instance", launch.refusal());
}

}  // namespace mayfly
