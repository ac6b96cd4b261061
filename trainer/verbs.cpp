#include "trainer/verbs.h"

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <string>
#include <thread>

#include <nlohmann/json.hpp>
#include <torch/version.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/json.h"
#include "core/log.h"
#include "core/report_error.h"
#include "core/run/plan.h"
#include "core/terminal.h"
#include "trainer/answer_verbs.h"
#include "trainer/evaluate.h"
#include "trainer/export_verbs.h"
#include "trainer/failure.h"
#include "trainer/forecast.h"
#include "trainer/local_plan.h"
#include "trainer/rank_processes.h"
#include "trainer/ranks.h"
#include "trainer/report.h"
#include "trainer/sft.h"
#include "version.h"

namespace mayfly {

namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

void print(const std::string& text) {
  std::fputs(text.c_str(), stdout);
}

LogLevel console_level(const TrainCommandLine& line, LogLevelName configured) {
  if (line.verbosity < 0) return LogLevel::warn;
  if (line.verbosity > 0) return LogLevel::debug;
  switch (configured) {
    case LogLevelName::debug:
      return LogLevel::debug;
    case LogLevelName::info:
      return LogLevel::info;
    case LogLevelName::warning:
      return LogLevel::warn;
    case LogLevelName::error:
      return LogLevel::error;
  }
  return LogLevel::info;
}

// On a terminal the report shows a bar and short lines itself, and the log, with its times, goes to
// the file. Elsewhere (the agent's log file, a pipe) the log is what there is to read. The agent
// keeps what we print as logs/train.log, so only a run without it writes that file.
Status start_logs(const TrainCommandLine& line, const RunPlan& plan, const RunDirectory& run,
                  const Terminal& terminal, bool is_first) {
  const LogLevel level = console_level(line, plan.config.logging.console_level);
  const bool by_other = !line.run_dir.empty() || !is_first;
  const bool bar = terminal.interactive && line.verbosity == 0;
  return start_log("train", bar ? LogLevel::warn : level,
                   by_other ? fs::path() : run.trainer_log());
}

// The ranks that torchrun or somebody like it has started, we among them; alone: one, or the first
// of those that are still to be started here.
Result<Ranks> ranks_around_us(const TrainConfig& train) {
  const Result<std::optional<RankPlace>> place = rank_place();
  if (!place) return place.error();
  const std::int64_t wanted = rank_count(train);
  if (*place) {
    if ((*place)->size == wanted) return Ranks::join(**place, train.rank_timeout);
    return Error{ErrorKind::invalid_config,
                 "WORLD_SIZE is " + std::to_string((*place)->size) +
                     ", and train.devices x train.nodes is " + std::to_string(wanted),
                 "make them equal: --set train.devices=" + std::to_string((*place)->size)};
  }
  if (train.nodes == 1) return Ranks();
  return Error{ErrorKind::invalid_config,
               "train.nodes is " + std::to_string(train.nodes) +
                   ", and nothing says which of the processes this is",
               "start each with RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR and MASTER_PORT, as "
               "torchrun does"};
}

// Where nobody else has started them.
Result<RankProcesses> start_others(const RunPlan& plan, const RunDirectory& run, Ranks& ranks) {
  const TrainConfig& train = plan.config.train;
  if (ranks.size() > 1 || rank_count(train) == 1) return RankProcesses();
  Result<Ranks> first = Ranks::listen(static_cast<int>(train.devices), train.rank_timeout);
  if (!first) return first.error();
  Result<RankProcesses> others = RankProcesses::start(*first, run);
  if (!others) return others.error();
  if (Status all = first->wait_for_others(); !all) return all.error();
  ranks = std::move(*first);
  return others;
}

Result<FinishedEvent> train(const TrainCommandLine& line, const RunPlan& plan,
                            const RunDirectory& run, const std::vector<std::string>& unused,
                            Ranks ranks) {
  SystemClock clock;
  const Terminal terminal = terminal_of(STDERR_FILENO, line.color);
  if (Status started = start_logs(line, plan, run, terminal, ranks.is_first()); !started)
    return started.error();
  const double redraw_seconds = plan.config.logging.tqdm_refresh_rate;
  Result<Report> report = !ranks.is_first()
                              ? Report::silent(clock)
                              : Report::open(run, clock,
                                             {.logging_steps = plan.config.train.logging_steps,
                                              .redraw_every = std::chrono::milliseconds(
                                                  static_cast<std::int64_t>(redraw_seconds * 1000)),
                                              .terminal = terminal,
                                              .quiet = line.verbosity < 0});
  if (!report) return report.error();
  for (const std::string& field : unused) {
    const Status told = report->tell(
        WarningEvent{"not_used", field + " is set, and `train` alone uploads and bills nothing",
                     "use `launch` for that"});
    if (!told) return told.error();
  }

  const Result<FinishedEvent> result = without_exceptions([&]() -> Result<FinishedEvent> {
    Result<RankProcesses> others = start_others(plan, run, ranks);
    if (!others) return others.error();
    Result<FinishedEvent> finished = sft({plan, run, *report, clock, ranks});
    if (!finished) return finished;
    if (Status ended = others->wait(); !ended) log_warn(ended.error().message);
    return finished;
  });
  if (result) {
    if (Status told = report->tell(*result); !told) return told.error();
    return result;
  }
  const Error& error = result.error();
  const Status told = report->tell(FailedEvent{std::string(error_code(error.kind)),
                                               mask_tokens(located_message(error)), error.hint});
  if (!told) log_warn(told.error().message);  // the first failure is the one to report
  return error;
}

std::vector<Error> run_dry(const TrainCommandLine& line, RunPlan plan) {
  if (plan.model_dir.empty()) plan.model_dir = RunDirectory{plan.run_dir}.model().string();
  const TrainConfig& train = plan.config.train;
  set_threads(train.threads);
  const Result<ComputeDevice> device = choose_device(train.device, train.bf16);
  if (!device) return {device.error()};
  const Result<Forecast> result = forecast(plan, *device);
  if (!result) return {result.error()};
  print(line.json ? forecast_json(*result) : forecast_text(*result));
  return {};
}

std::vector<Error> run_planned(const TrainCommandLine& line) {
  if (!line.config_files.empty() || !line.settings.empty()) {
    return {Error{ErrorKind::usage, "--run-dir takes everything from its plan.json",
                  "leave out -c, --set and the other flags"}};
  }
  std::error_code code;
  const RunDirectory run{fs::absolute(line.run_dir, code)};
  const Result<RunPlan> plan = read_plan(run.plan().string());
  if (!plan) return {plan.error()};
  if (line.dry_run) return run_dry(line, *plan);
  Result<Ranks> ranks = ranks_around_us(plan->config.train);
  if (!ranks) return {ranks.error()};
  const Result<FinishedEvent> finished = train(line, *plan, run, {}, std::move(*ranks));
  if (!finished) return {finished.error()};
  return {};
}

// By the first rank's plan: its run, its name, its day.
std::vector<Error> run_as_rank(const TrainCommandLine& line, Ranks ranks) {
  const Result<nlohmann::json> said = parse_json(ranks.from_first({}), "the plan of rank 0");
  if (!said) return {said.error()};
  const Result<RunPlan> plan = plan_from_json(*said);
  if (!plan) return {plan.error()};
  const RunDirectory run{plan->run_dir};
  const Result<FinishedEvent> finished = train(line, *plan, run, {}, std::move(ranks));
  if (!finished) return {finished.error()};
  return {};
}

std::vector<Error> run_alone(const TrainCommandLine& line) {
  ConfigInputs inputs = process_inputs();
  inputs.files = line.config_files;
  inputs.command_line = line.settings;
  LoadedConfig loaded = load_config(inputs);
  if (!loaded.problems.empty()) return std::move(loaded.problems);
  SystemClock clock;
  const Result<LocalPlan> local = make_local_plan(loaded.config, clock);
  if (!local) return {local.error()};
  if (line.dry_run) return run_dry(line, local->plan);
  Result<Ranks> ranks = ranks_around_us(local->plan.config.train);
  if (!ranks) return {ranks.error()};
  if (!ranks->is_first()) return run_as_rank(line, std::move(*ranks));
  if (Status written = write_local_plan(*local); !written) return {written.error()};
  ranks->from_first(json_text(plan_to_json(local->plan)));
  const Result<FinishedEvent> finished =
      train(line, local->plan, local->directory, local->unused, std::move(*ranks));
  if (!finished) return {finished.error()};
  const std::string path =
      finished->stopped ? local->plan.run_dir : local->directory.adapter().string();
  if (line.json) {
    print(ordered_json{{"ok", true},
                       {"run", local->plan.run_name},
                       {"steps", finished->steps},
                       {"seconds", finished->seconds},
                       {"stopped", finished->stopped},
                       {"path", path}}
              .dump() +
          "\n");
  } else {
    print(path + "\n");
  }
  return {};
}

std::vector<Error> run_sft(const TrainCommandLine& line) {
  return line.run_dir.empty() ? run_alone(line) : run_planned(line);
}

Result<ComputeDevice> device_for(const ModelFlags& flags) {
  set_threads(flags.threads);
  return choose_device(flags.device, flags.bf16);
}

std::vector<Error> run_evaluate(const TrainCommandLine& line) {
  const Result<ComputeDevice> device = device_for(line.model);
  if (!device) return {device.error()};
  if (line.evaluate.exact_match) return run_exact_match(line, *device);
  DataConfig data;
  data.path = line.evaluate.data;
  if (line.evaluate.cutoff_len > 0) data.cutoff_len = line.evaluate.cutoff_len;
  if (line.evaluate.train_on_all) data.train_on = TrainOn::all;
  const Result<HeldOutLoss> loss =
      evaluate({line.model.model_dir, line.model.adapter_dir, data, *device, line.model.quant});
  if (!loss) return {loss.error()};
  if (line.json) {
    print(ordered_json{{"loss", loss->loss}, {"tokens", loss->tokens}, {"examples", loss->examples}}
              .dump() +
          "\n");
  } else {
    char text[160];
    std::snprintf(text, sizeof text, "loss %.6f over %lld tokens of %lld examples\n", loss->loss,
                  static_cast<long long>(loss->tokens), static_cast<long long>(loss->examples));
    print(text);
  }
  return {};
}

std::vector<Error> run_answers(const TrainCommandLine& line) {
  const Result<ComputeDevice> device = device_for(line.model);
  if (!device) return {device.error()};
  return line.verb == "chat" ? run_chat(line, *device) : run_generate(line, *device);
}

std::vector<Error> run_env(const TrainCommandLine& line) {
  set_threads({});
  const Result<ComputeDevice> device = choose_device(Device::automatic, {});
  if (!device) return {device.error()};
  const bool bf16 = device->type == at::kBFloat16;
  if (line.json) {
    print(ordered_json{{"version", kVersion},
                       {"device", device->name},
                       {"threads", threads()},
                       {"cores", std::thread::hardware_concurrency()},
                       {"bf16", bf16},
                       {"libtorch", TORCH_VERSION}}
              .dump() +
          "\n");
    return {};
  }
  print(aligned_table({{"mayfly", kVersion},
                       {"libtorch", TORCH_VERSION},
                       {"device", device->name},
                       {"threads", std::to_string(threads())},
                       {"bf16", bf16 ? "yes: training uses it unless train.bf16 is false"
                                     : "no: training computes in float32"}},
                      {}));
  return {};
}

std::vector<Error> dispatch(const TrainCommandLine& line) {
  if (line.verb == "eval") return run_evaluate(line);
  if (line.verb == "generate" || line.verb == "chat") return run_answers(line);
  if (line.verb == "merge") return run_merge(line);
  if (line.verb == "export") return run_export(line);
  if (line.verb == "import") return run_import(line);
  if (line.verb == "env") return run_env(line);
  return run_sft(line);
}

}  // namespace

std::vector<Error> run_verb(const TrainCommandLine& line) {
  try {
    return dispatch(line);
  } catch (...) {
    return {error_of_exception()};
  }
}

}  // namespace mayfly
