#include "trainer/exact_match.h"

#include <algorithm>
#include <utility>

#include "core/text/records.h"

namespace mayfly {

namespace {

constexpr std::string_view kAnswerMark = "#### ";
constexpr std::string_view kNumberLetters = "0123456789.,";

// What a match is compared without.
std::string bare_number(std::string_view text) {
  std::string bare;
  for (const char c : text) {
    if (c != ',' && c != '$') bare += c;
  }
  while (bare.ends_with('.')) bare.pop_back();
  return bare;
}

bool has_digit(std::string_view text) {
  return text.find_first_of("0123456789") != std::string_view::npos;
}

// The question, its answer's number, and what comes before the answer.
struct Question {
  std::vector<Message> messages;
  std::string expected;
};

Result<Question> question_of(const FileRow& row, const DataConfig& data) {
  const FileLocation at{row.file, row.record.line};
  const auto* const chat = std::get_if<Conversation>(&row.record.content);
  if (chat == nullptr || chat->messages.size() < 2 || chat->messages.back().role != "assistant") {
    return Error{ErrorKind::bad_data, "the row is no chat that ends with an answer",
                 "exact match wants rows of messages, sharegpt or alpaca", at};
  }
  const auto number = strict_number(chat->messages.back().content);
  if (!number) {
    return Error{ErrorKind::bad_data, "the answer has no \"#### \" with a number behind it",
                 "exact match is for rows as GSM8K has them", at};
  }
  Question question{chat->messages, *number};
  question.messages.pop_back();
  if (data.system_prompt && question.messages.front().role != "system") {
    question.messages.insert(question.messages.begin(), {"system", *data.system_prompt});
  }
  return question;
}

void count(MatchCount& counts, const Answer& answer, const std::string& expected) {
  counts.strict += strict_number(answer.text) == expected ? 1 : 0;
  counts.flexible += flexible_number(answer.text) == expected ? 1 : 0;
  counts.cut += answer.complete ? 0 : 1;
}

}  // namespace

std::optional<std::string> strict_number(std::string_view answer) {
  // The first place where a number follows, as a search by `#### (\-?[0-9\.\,]+)` finds it.
  for (auto at = answer.find(kAnswerMark); at != std::string_view::npos;
       at = answer.find(kAnswerMark, at + 1)) {
    const std::string_view rest = answer.substr(at + kAnswerMark.size());
    const std::size_t sign = rest.starts_with('-') ? 1 : 0;
    const std::size_t end = std::min(rest.find_first_not_of(kNumberLetters, sign), rest.size());
    if (end > sign) return bare_number(rest.substr(0, end));
  }
  return std::nullopt;
}

std::optional<std::string> flexible_number(std::string_view answer) {
  std::optional<std::string> last;
  for (std::size_t at = 0; at < answer.size();) {
    const bool sign = answer[at] == '-';
    const std::size_t begin = at + (sign ? 1 : 0);
    const std::size_t end =
        std::min(answer.find_first_not_of("0123456789.,$", begin), answer.size());
    if (end > begin && has_digit(answer.substr(begin, end - begin))) {
      last = bare_number(answer.substr(at, end - at));
    }
    at = std::max(end, at + 1);
  }
  return last;
}

Result<ExactMatch> exact_match(const Respondent& respondent, const ExactMatchRequest& request,
                               const std::function<Status(const MatchSample&)>& asked) {
  const Result<FileRows> rows =
      read_rows(request.data.path, RecordNames(request.data), request.limit);
  if (!rows) return rows.error();
  std::vector<Question> questions;  // all of them, so that a bad row is told before hours of work
  for (const FileRow& row : rows->rows) {
    Result<Question> question = question_of(row, request.data);
    if (!question) return question.error();
    questions.push_back(std::move(*question));
  }
  ExactMatch match;
  if (respondent.has_adapter()) match.tuned.emplace();
  for (const Question& question : questions) {
    const Result<Answer> base = respondent.answer(question.messages, request.sampling, false);
    if (!base) return base.error();
    MatchSample sample{question.messages.back().content, question.expected, base->text, {}};
    count(match.base, *base, question.expected);
    if (match.tuned) {
      const Result<Answer> tuned = respondent.answer(question.messages, request.sampling, true);
      if (!tuned) return tuned.error();
      sample.tuned = tuned->text;
      count(*match.tuned, *tuned, question.expected);
    }
    ++match.questions;
    if (!asked) continue;
    if (Status told = asked(sample); !told) return told.error();
  }
  return match;
}

}  // namespace mayfly
