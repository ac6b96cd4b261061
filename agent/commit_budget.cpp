#include "agent/commit_budget.h"

namespace mayfly {

namespace {

constexpr std::chrono::hours kWindow{1};

int most_of(CommitRank rank) {
  switch (rank) {
    case CommitRank::work:
      return CommitBudget::kPerHour;
    case CommitRank::logs:
      return CommitBudget::kPerHour - 8;
    case CommitRank::status:
      return CommitBudget::kPerHour / 2;
  }
  return 0;
}

}  // namespace

void CommitBudget::forget(SteadyTime now) {
  while (!made_.empty() && made_.front() + kWindow <= now) made_.pop_front();
}

bool CommitBudget::take(CommitRank rank, SteadyTime now) {
  forget(now);
  if (static_cast<int>(made_.size()) >= most_of(rank)) return false;
  made_.push_back(now);
  return true;
}

void CommitBudget::give_back() {
  if (!made_.empty()) made_.pop_back();
}

}  // namespace mayfly
