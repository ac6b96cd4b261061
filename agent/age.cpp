#include "agent/age.h"

#include <algorithm>

namespace mayfly {

AgeMeter::AgeMeter(WallTime created_at, const std::optional<AgeMark>& saved, std::string boot_id,
                   Clock& clock)
    : clock_(clock), begin_{std::move(boot_id), clock.steady_now(), Age::zero()} {
  const Age by_wall = std::max(Age::zero(), Age(clock.now() - created_at));
  if (!saved) {
    begin_.age = by_wall;
  } else if (saved->boot_id == begin_.boot_id) {
    begin_.age = saved->age + std::max(Age::zero(), Age(begin_.steady - saved->steady));
  } else {
    begin_.age = std::max(saved->age, by_wall);
  }
}

Age AgeMeter::age() const {
  return begin_.age + std::max(Age::zero(), Age(clock_.steady_now() - begin_.steady));
}

AgeMark AgeMeter::mark() const {
  return {begin_.boot_id, clock_.steady_now(), age()};
}

}  // namespace mayfly
