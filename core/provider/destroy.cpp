#include "core/provider/destroy.h"

#include <algorithm>

namespace mayfly {

Result<bool> is_gone(Provider& provider, const InstanceId& id) {
  const Result<Instance> instance = provider.get(id);
  if (instance) return instance->state == InstanceState::gone;
  if (instance.error().kind == ErrorKind::not_found) return true;
  return instance.error();
}

namespace {

// A listing may leave a machine out for a moment; one that is listed as gone is gone.
Result<bool> is_surely_gone(Provider& provider, const InstanceId& id, Clock& clock) {
  const Result<Instance> instance = provider.get(id);
  if (instance) return instance->state == InstanceState::gone;
  if (instance.error().kind != ErrorKind::not_found) return instance.error();
  const std::chrono::seconds again = provider.traits().second_look;
  if (again.count() == 0) return true;
  clock.sleep_for(again);
  return is_gone(provider, id);
}

}  // namespace

Status destroy_until_gone(Provider& provider, const InstanceId& id, Clock& clock,
                          const DestroyPatience& patience) {
  const SteadyTime give_up_at = clock.steady_now() + patience.give_up_after;
  auto wait = patience.first_wait;
  Error last{ErrorKind::outcome_unknown, "the provider never confirmed it"};

  while (clock.steady_now() < give_up_at) {
    // Asked again every round: an accepted request can still be lost, and asking twice is harmless.
    // An instance that the provider does not know any more is what we want, not a failure.
    if (const Status asked = provider.terminate(id);
        !asked && asked.error().kind != ErrorKind::not_found) {
      last = asked.error();
      if (last.kind == ErrorKind::unauthorized) break;  // waiting does not mend a token
    }

    // "Accepted" is not "gone": billing stops when the provider says so, not when it was asked.
    const Result<bool> gone = is_surely_gone(provider, id, clock);
    if (gone && *gone) return Unit{};
    if (!gone) last = gone.error();

    clock.sleep_for(wait);
    wait = std::min(2 * wait, patience.longest_wait);
  }
  return while_doing("destroying instance " + id, last);
}

}  // namespace mayfly
