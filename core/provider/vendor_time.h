// Times as vendors write them: RFC 3339 with any number of decimals and any offset.
#pragma once

#include <string_view>

#include "core/clock.h"
#include "core/result.h"

namespace mayfly {

// "2026-01-02T15:04:05.123456-07:00", "2026-01-02 15:04:05Z", "2026-01-02T15:04:05" (taken as UTC).
// Cut to milliseconds. Error: corrupt.
Result<WallTime> parse_vendor_time(std::string_view text);

}  // namespace mayfly
