// One HTTP request to the agent, from bytes that anybody on the machine may have sent. Pure.
//
// Own code in place of Debian's cpp-httplib (0.11.4), which localhub uses: that one takes any
// number of header lines into memory, waits for each byte anew, and queues connections without a
// limit (measured in docs/steering.md), and an agent that can be made to run out of memory by a
// process beside it is one that no longer destroys its machine. Here a request is at most 16 KB in
// all, and whoever reads it from a connection has one deadline for the whole (steering_server.h).
//
// Read is what the programs of this project, curl, browsers and Prometheus send: HTTP/1.0 or 1.1, a
// body of a known length. Refused: line folding, Transfer-Encoding, two Content-Lengths, control
// characters, a target that is not a path.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "core/result.h"

namespace mayfly {

constexpr std::size_t kMostRequestBytes = 16 << 10;

struct SteeringRequest {
  std::string method;                          // "GET"
  std::string path;                            // "/status", without what follows a question mark
  std::map<std::string, std::string> headers;  // names in lower case; the last one of a name
  std::string body;

  // "" if it was not sent.
  std::string_view header(const std::string& name) const;
};

// The request that `bytes` begins with; nullopt when more must come. Error: corrupt, in words.
Result<std::optional<SteeringRequest>> parse_steering_request(std::string_view bytes);

}  // namespace mayfly
