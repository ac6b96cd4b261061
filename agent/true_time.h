// How old the instance is when the agent begins to count, by a wall clock that may be wrong.
//
// From then on the clock since boot counts (agent/age.h); but where the count begins, only a wall
// clock can say, and one that is wrong at boot (a dead battery, a host that runs ahead) would end a
// run at once or let it live for long. So it is compared with the Date of answers by HTTPS from the
// provider and the hub (RFC 9110, 6.6.1), whose certificates vouch for them, and with the life that
// the boot fuse has counted by the clock since boot (cloud-init/fuse.sh). What disagrees is told,
// and the reading that ends the instance earlier is taken.
//
// A clock that is wrong by more than certificates allow cannot be mended here: then no provider can
// be asked for anything either.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "agent/limits.h"
#include "core/clock.h"
#include "core/http/client.h"

namespace mayfly {

struct TimeReading {
  std::string host;
  WallTime time;
};

// What the Date of an answer says; nullopt: nothing that can be read.
std::optional<WallTime> parse_http_date(std::string_view text);

// Asks each address by HEAD, which takes 3 s at most; whatever the status of the answer is. Those
// without an answer or a date are left out, and addresses that are neither https nor this
// machine's.
std::vector<TimeReading> ask_the_time(HttpClient& http, const std::vector<std::string>& addresses);

// The seconds that the fuse has counted: its file in the folder `memory` (run/mayfly), of this
// boot. nullopt: there is no such line.
std::optional<Age> life_by_fuse(const std::filesystem::path& memory, const std::string& boot_id,
                                SteadyTime now);

struct FirstAge {
  Age age{};
  std::string alarm;  // "" : all agree
};
// `created_at` is the provider's; `wall` what this machine's clock says now.
FirstAge first_age(WallTime created_at, WallTime wall, const std::vector<TimeReading>& readings,
                   std::optional<Age> life);

// Clocks within this agree.
constexpr Age kClocksAgree = std::chrono::minutes(5);
// From an instance's creation to the fuse's first tick, where nothing better is known.
constexpr Age kUnseenStart = std::chrono::minutes(15);

}  // namespace mayfly
