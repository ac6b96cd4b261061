#include "trainer/answer_verbs.h"

#include <cstdio>
#include <iostream>
#include <string>

#include <nlohmann/json.hpp>
#include <unistd.h>

#include "core/atomic_file.h"
#include "core/json.h"
#include "trainer/exact_match.h"
#include "trainer/stop_signal.h"

namespace mayfly {

namespace {

using nlohmann::json;

void show(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

Result<Respondent> respondent_of(const TrainCommandLine& line, const ComputeDevice& device) {
  return Respondent::load({line.model.model_dir, line.model.adapter_dir, device, line.model.quant});
}

Sampling sampling_of(const GenerateFlags& flags) {
  return {.temperature = flags.temperature,
          .top_p = flags.top_p,
          .seed = static_cast<std::uint64_t>(flags.seed),
          .max_new_tokens = flags.max_new_tokens};
}

std::vector<Message> opening(const GenerateFlags& flags) {
  if (flags.system.empty()) return {};
  return {{"system", flags.system}};
}

json answer_json(const Answer& said) {
  return {{"text", said.text},
          {"prompt_tokens", said.prompt_tokens},
          {"new_tokens", said.new_tokens},
          {"complete", said.complete}};
}

json count_json(const MatchCount& counts, std::int64_t questions) {
  const auto share = [&](std::int64_t count) {
    return static_cast<double>(count) / static_cast<double>(questions);
  };
  return {{"strict", share(counts.strict)},
          {"flexible", share(counts.flexible)},
          {"strict_right", counts.strict},
          {"flexible_right", counts.flexible},
          {"cut", counts.cut}};
}

std::string count_row(const char* name, const MatchCount& counts, std::int64_t questions) {
  char row[120];
  const auto percent = [&](std::int64_t count) {
    return 100.0 * static_cast<double>(count) / static_cast<double>(questions);
  };
  std::snprintf(row, sizeof row, "%-8s %7.2f %%  %7.2f %%  %6lld\n", name, percent(counts.strict),
                percent(counts.flexible), static_cast<long long>(counts.cut));
  return row;
}

// Which of two answers to show first is the file's reader's choice: it has both.
Status note_sample(const std::string& path, const MatchSample& sample, bool has_adapter) {
  json row = {{"question", sample.question},
              {"expected", sample.expected},
              {"base", sample.base},
              {"base_strict", strict_number(sample.base) == sample.expected},
              {"base_flexible", flexible_number(sample.base) == sample.expected}};
  if (has_adapter) {
    row["tuned"] = sample.tuned;
    row["tuned_strict"] = strict_number(sample.tuned) == sample.expected;
    row["tuned_flexible"] = flexible_number(sample.tuned) == sample.expected;
  }
  return append_line(path, json_line(row));
}

}  // namespace

std::vector<Error> run_generate(const TrainCommandLine& line, const ComputeDevice& device) {
  const Result<Respondent> respondent = respondent_of(line, device);
  if (!respondent) return {respondent.error()};
  std::vector<Message> messages = opening(line.generate);
  messages.push_back({"user", line.generate.prompt});
  const Result<Answer> said = respondent->answer(messages, sampling_of(line.generate), true);
  if (!said) return {said.error()};
  show((line.json ? json_line(answer_json(*said)) : said->text) + "\n");
  return {};
}

std::vector<Error> run_chat(const TrainCommandLine& line, const ComputeDevice& device) {
  const Result<Respondent> respondent = respondent_of(line, device);
  if (!respondent) return {respondent.error()};
  const bool asks = ::isatty(STDIN_FILENO) == 1 && !line.json;
  std::vector<Message> messages = opening(line.generate);
  Sampling sampling = sampling_of(line.generate);
  for (std::string said; !stop_requested(); ++sampling.seed) {
    if (asks) show("> ");
    if (!std::getline(std::cin, said)) break;
    if (said == "/new") messages = opening(line.generate);
    if (said.empty() || said == "/new") continue;
    messages.push_back({"user", said});
    const AnswerPieces pieces = [](std::string_view piece) {
      show(piece);
      return !stop_requested();
    };
    const Result<Answer> answer =
        respondent->answer(messages, sampling, true, line.json ? AnswerPieces() : pieces);
    if (!answer) return {answer.error()};
    show((line.json ? json_line(answer_json(*answer)) : std::string()) + "\n");
    messages.push_back({"assistant", answer->text});
  }
  return {};
}

std::vector<Error> run_exact_match(const TrainCommandLine& line, const ComputeDevice& device) {
  const EvaluateFlags& flags = line.evaluate;
  const Result<Respondent> respondent = respondent_of(line, device);
  if (!respondent) return {respondent.error()};
  ExactMatchRequest request{.data = {}, .limit = flags.limit, .sampling = {}};
  request.data.path = flags.data;
  request.sampling.max_new_tokens = flags.max_new_tokens;
  std::int64_t asked = 0;
  const auto after_each = [&](const MatchSample& sample) -> Status {
    ++asked;
    if (line.verbosity >= 0 && ::isatty(STDERR_FILENO) == 1) {
      std::fprintf(stderr, "\r%lld questions", static_cast<long long>(asked));
    }
    if (flags.samples.empty()) return Unit{};
    return note_sample(flags.samples, sample, respondent->has_adapter());
  };
  const Result<ExactMatch> match = exact_match(*respondent, request, after_each);
  if (!match) return {match.error()};
  if (line.json) {
    json out = {{"questions", match->questions},
                {"base", count_json(match->base, match->questions)}};
    if (match->tuned) out["tuned"] = count_json(*match->tuned, match->questions);
    show(json_line(out) + "\n");
    return {};
  }
  show(std::to_string(match->questions) + " questions: the number behind \"#### \", the last " +
       "number, answers cut short\n" + count_row("base", match->base, match->questions) +
       (match->tuned ? count_row("tuned", *match->tuned, match->questions) : ""));
  return {};
}

}  // namespace mayfly
