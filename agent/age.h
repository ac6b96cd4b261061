// How old the instance is: what limits are measured in. Never goes back, never jumps.
//
// The wall clock only says where the count begins. From then on the clock that counts since the
// boot (CLOCK_BOOTTIME) goes on, over restarts of the agent too, since its reading is saved with
// the state. After a reboot the count goes on from the saved age, or from the wall clock if that is
// further: a reboot never extends the life of an instance.
#pragma once

#include <optional>
#include <string>

#include "agent/limits.h"
#include "core/clock.h"

namespace mayfly {

// A reading to go on from.
struct AgeMark {
  std::string boot_id;
  SteadyTime steady;
  Age age{};
};

class AgeMeter {
 public:
  // `saved`: of an earlier life of the agent.
  AgeMeter(WallTime created_at, const std::optional<AgeMark>& saved, std::string boot_id,
           Clock& clock);

  Age age() const;
  AgeMark mark() const;

 private:
  Clock& clock_;
  AgeMark begin_;
};

}  // namespace mayfly
