// How many commits may still be made to one repository: the hub refuses the 129th of an hour
// ("rate limit for repository commits (128 per hour)", braindecode/braindecode#947), and then work
// waits. So what matters least is left out first.
//
// Pure; the caller passes the time. One thread.
#pragma once

#include <chrono>
#include <deque>

#include "core/clock.h"

namespace mayfly {

enum class CommitRank {
  work,    // a checkpoint, an adapter: up to the last of the budget
  logs,    // once or twice a run: all but the last eight
  status,  // again and again: half of the budget
};

class CommitBudget {
 public:
  static constexpr int kPerHour = 128;

  // Whether a commit of this rank may be made now; if so, it is counted.
  bool take(CommitRank rank, SteadyTime now);
  // The one taken last was not made after all.
  void give_back();

 private:
  void forget(SteadyTime now);
  std::deque<SteadyTime> made_;  // within the last hour
};

}  // namespace mayfly
