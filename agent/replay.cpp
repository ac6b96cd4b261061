#include "agent/replay.h"

#include "agent/decision_record.h"
#include "agent/journal.h"

namespace mayfly {

Result<ReplayReport> replay(std::string_view journal) {
  ReplayReport report;
  std::optional<AgentPolicy> policy;
  for (int number = 1; !journal.empty(); ++number) {
    const auto end = journal.find('\n');
    const std::string_view line = journal.substr(0, end);
    journal.remove_prefix(end == std::string_view::npos ? journal.size() : end + 1);
    const bool torn_tail = end == std::string_view::npos;
    if (line.empty()) continue;
    if (!is_sealed(line)) {
      if (!torn_tail) ++report.damaged;
      continue;
    }
    const Result<JournalRecord> record = read_record(line);
    if (!record) return while_doing("line " + std::to_string(number), record.error());
    if (record->begin) {
      policy = record->begin;
      ++report.lives;
      continue;
    }
    if (!policy) return Error{ErrorKind::corrupt, "a decision before the policy it was made by"};
    ++report.decisions;
    const DecisionRecord& made = *record->decision;
    const std::string now = outcome_text(advance(*policy, made.before, made.seen));
    if (now == made.outcome) continue;
    report.difference = {number, made.outcome, now};
    return report;
  }
  if (report.decisions == 0) return Error{ErrorKind::corrupt, "there is no decision in it"};
  return report;
}

std::string replay_text(const ReplayReport& report) {
  std::string text = std::to_string(report.decisions) + " decisions of " +
                     std::to_string(report.lives) + (report.lives == 1 ? " life" : " lives");
  if (report.damaged > 0) text += ", " + std::to_string(report.damaged) + " damaged lines";
  if (!report.difference) return text + ": all the same\n";
  return text + ": line " + std::to_string(report.difference->line) +
         " differs\n  recorded: " + report.difference->recorded +
         "\n  now:      " + report.difference->now + "\n";
}

}  // namespace mayfly
