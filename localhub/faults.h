// Failures on purpose, so that clients can be tried against a hub that misbehaves: rules by method
// and path, each for a number of requests.
//
// As JSON, a list of objects:
//   {"method": "POST", "path": "*/commit/*", "skip": 0, "times": 1, "do": "answer",
//    "status": 429, "headers": {"Retry-After": "1"}, "body": "..."}
// "path" is a shell pattern on the path without the query ("*" matches "/" too); "method" may be
// left out. What can be done:
//   answer        this status, headers and body, without doing what was asked
//   drop_before   close the connection without doing it, and without an answer
//   drop_after    do it, then close the connection without an answer
//   cut           send only "bytes" bytes of the answer's body, then close
//   slow          send the body at "bytes" bytes a second
//   hang          wait "seconds" before doing it
//   ignore_range  answer 200 with everything where a part was asked for
//   garble        flip a bit in the first byte of the body
//   reset         do it, then reset the connection (RST) without an answer
//   endless       send the answer's body again and again, without end
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "localhub/exchange.h"

namespace mayfly::localhub {

enum class FaultKind {
  answer,
  drop_before,
  drop_after,
  cut,
  slow,
  hang,
  ignore_range,
  garble,
  reset,
  endless
};

struct Fault {
  std::string method = {};  // "" : any
  std::string path = "*";
  int skip = 0;  // so many matching requests pass first
  int times = 1;
  FaultKind kind = FaultKind::answer;
  HubAnswer answer = {};
  std::int64_t bytes = 0;
  double seconds = 0;
};

// Error: usage, with what is wrong.
Result<std::vector<Fault>> read_faults(std::string_view json);

// The rules in force. Any thread.
class Faults {
 public:
  void add(Fault fault);
  void clear();
  // The first rule that fits this request, counted as used.
  std::optional<Fault> next(const HubRequest& request);

 private:
  std::mutex mutex_;
  std::vector<Fault> rules_;
};

}  // namespace mayfly::localhub
