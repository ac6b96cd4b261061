// One line of JSON a request, in a form that two clients' traces can be compared in: hashes and
// signatures masked, contents by their size, tokens never.
#pragma once

#include <string>

#include "localhub/exchange.h"

namespace mayfly::localhub {

// {"origin":"hub","method":"POST","path":"/api/...","status":200,"auth":true,"type":"...","body":{...}}
std::string request_log_line(const std::string& origin, const HubRequest& request, int status);

// 40 and 64 hex digits in a row become "<hash>".
std::string mask_hashes(const std::string& text);

}  // namespace mayfly::localhub
