// Addresses of the storage origin that need no token: who has one may do this one thing until it
// expires, as with signed S3 and CDN addresses.
#pragma once

#include <string>

#include "localhub/exchange.h"
#include "localhub/hub.h"

namespace mayfly::localhub {

// `path` with "?expires=...&signature=..." on the storage origin, good for this method.
std::string signed_address(const Hub& hub, const std::string& method, const std::string& path);

// Whether the request came by an address that signed_address made, and that has not expired.
bool has_valid_signature(const Hub& hub, const HubRequest& request);

}  // namespace mayfly::localhub
