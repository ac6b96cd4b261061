// One wheel, from the address and with the hash that the plan promises: asked for again where it
// broke off, for as long as bytes come, and kept only if it is that very file.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>

#include "core/clock.h"
#include "core/http/client.h"
#include "core/result.h"
#include "core/run/runtime.h"

namespace mayfly {

// A server that brings nothing for so long has failed.
constexpr std::chrono::minutes kWheelPatience{10};

// `target` grows, and may hold the start from an earlier try. `progress` gets its size. Errors:
// corrupt (three times another hash), refused (an address that is neither https nor of this
// machine), not_found and refused (what the server says of 4xx), unreachable, no_space.
Status download_wheel(const PlannedWheel& wheel, const std::filesystem::path& target,
                      HttpClient& http, Clock& clock,
                      const std::function<void(std::int64_t)>& progress);

}  // namespace mayfly
