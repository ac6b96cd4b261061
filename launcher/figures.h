// Figures as people read them, the same in plan, status and summary.
#pragma once

#include <cstdint>
#include <string>

#include "core/number_text.h"

namespace mayfly {

// To the second, in the two largest units: "1h04m".
std::string duration(double seconds);

// 1234567 -> "1,234,567"
std::string grouped(std::int64_t value);

// What sellers of GPUs call a gigabyte of memory.
constexpr std::int64_t kGigabyte = std::int64_t{1} << 30;

// Bytes of memory as GPUs are sold by, in units of 2^30: "17.3 GB".
std::string format_gb(std::int64_t bytes);

}  // namespace mayfly
