// How many questions a model answers with the right number: rows whose last answer ends as GSM8K's
// do, "... #### 42". The base model and the adapter are asked the same, side by side.
//
// Both measures are those of EleutherAI's lm-evaluation-harness, task gsm8k: strict takes what
// follows "#### ", flexible the last number of the answer. Numbers are compared as text without ","
// and "$" and a full stop at the end, as there.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/config/data_config.h"
#include "core/result.h"
#include "trainer/respondent.h"

namespace mayfly {

// nullopt: there is none.
std::optional<std::string> strict_number(std::string_view answer);
std::optional<std::string> flexible_number(std::string_view answer);

struct MatchCount {
  std::int64_t strict = 0;
  std::int64_t flexible = 0;
  std::int64_t cut = 0;  // answers that max_new_tokens ended
};

// One question, as it is handed out when it has been asked.
struct MatchSample {
  std::string question, expected;
  std::string base, tuned;  // the answers; tuned "" without an adapter
};

struct ExactMatch {
  std::int64_t questions = 0;
  MatchCount base;
  std::optional<MatchCount> tuned;  // with an adapter
};

struct ExactMatchRequest {
  DataConfig data;
  std::int64_t limit = 0;  // 0: all rows
  Sampling sampling;
};

// `asked` is called after each question; it may be empty. Errors: bad_data (a row that is no chat,
// or whose answer has no "#### number", with its place), those of read_rows.
Result<ExactMatch> exact_match(const Respondent& respondent, const ExactMatchRequest& request,
                               const std::function<Status(const MatchSample&)>& asked);

}  // namespace mayfly
