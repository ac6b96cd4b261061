// What every handler works on: the library, the clock, the token, and the addresses of the two
// origins - the hub itself, and the storage to which it sends clients with signed addresses, as the
// real hub does with its CDN.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "core/clock.h"
#include "core/secret.h"
#include "localhub/library.h"

namespace mayfly::localhub {

struct HubSettings {
  std::string account = "local";
  Secret token;
  std::int64_t lfs_above_bytes = 10 << 20;                     // of files that look like text
  std::int64_t multipart_above_bytes = std::int64_t{5} << 30;  // S3 takes no more in one PUT
  std::int64_t part_bytes = std::int64_t{256} << 20;
  std::int64_t page_size = 1000;  // of file lists
  std::chrono::seconds address_lifetime{3600};
};

struct Hub {
  Library& library;
  Clock& clock;
  HubSettings settings;
  std::string signing_key;
  std::string endpoint;          // "http://127.0.0.1:PORT"
  std::string storage_endpoint;  // the second origin
};

}  // namespace mayfly::localhub
