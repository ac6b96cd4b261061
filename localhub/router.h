// From a request to the handler of its call: checks the token, finds the repository, and says no in
// the hub's own form. Pure but for what handlers do.
#pragma once

#include "localhub/exchange.h"
#include "localhub/hub.h"

namespace mayfly::localhub {

// A request to the hub's own origin. (answer_storage in api.h is the other one's.)
HubAnswer answer_hub(Hub& hub, const HubRequest& request);

}  // namespace mayfly::localhub
