// Ending an instance until the provider itself says that it is gone.
#pragma once

#include <chrono>

#include "core/clock.h"
#include "core/provider/provider.h"
#include "core/result.h"

namespace mayfly {

// What a caller on a laptop waits at most. The agent does not use this: it goes on for ever.
struct DestroyPatience {
  std::chrono::milliseconds first_wait;
  std::chrono::milliseconds longest_wait;
  std::chrono::milliseconds give_up_after;
};
constexpr DestroyPatience kDestroyPatience{std::chrono::seconds(1), std::chrono::seconds(30),
                                           std::chrono::minutes(15)};

// Asks for the end and looks, in turns, until a listing does not contain the instance (two
// listings, where one alone may leave it out: ProviderTraits::second_look). Errors: unauthorized at
// once; the last failure, or outcome_unknown, once `give_up_after` has passed - then the instance
// may still cost money.
Status destroy_until_gone(Provider& provider, const InstanceId& id, Clock& clock,
                          const DestroyPatience& patience);

// Whether the provider's listing has the instance; its record must be readable for a `true`.
// unreachable and the like: nothing is known.
Result<bool> is_gone(Provider& provider, const InstanceId& id);

}  // namespace mayfly
