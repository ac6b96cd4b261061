#include "launcher/batch.h"

#include <algorithm>
#include <csignal>

#include <nlohmann/json.hpp>

#include "core/atomic_file.h"
#include "core/config/load.h"
#include "core/config/resolved.h"
#include "core/exit_code.h"
#include "core/json.h"
#include "core/spawn.h"
#include "launcher/follow.h"
#include "launcher/run_command.h"

namespace mayfly {

namespace fs = std::filesystem;

namespace {

constexpr std::chrono::milliseconds kBetweenLooks(200);
// How often the state of a run is asked for that another program watches.
constexpr int kLooksBetweenQuestions = 10;

// Ours, but for what would change a run's file after it was resolved.
std::vector<std::string> environment_of_child(const Secret& hub_token) {
  Environment environment = current_environment();
  std::erase_if(environment, [](const auto& entry) {
    return sets_field(entry.first) || entry.first.starts_with("FORCE_RUN_");
  });
  if (!hub_token.empty()) environment["HF_TOKEN"] = hub_token.reveal();
  std::vector<std::string> lines;
  for (const auto& [name, value] : environment) lines.push_back(name + "=" + value);
  return lines;
}

Result<pid_t> start_beside(const std::string& program, std::vector<std::string> words,
                           const fs::path& log, const Secret& hub_token, const Desk& desk) {
  SpawnSpec spec;
  spec.argv = {(program_folder() / program).string()};
  spec.argv.insert(spec.argv.end(), std::make_move_iterator(words.begin()),
                   std::make_move_iterator(words.end()));
  spec.argv.insert(spec.argv.end(), {"--state-file", desk.state.path().string()});
  spec.environment = environment_of_child(hub_token);
  spec.output = log;
  return spawn(spec);
}

// The run's file, with the token as the variable that the child gets.
std::string file_text(const RunConfig& config) {
  LoadedConfig loaded;
  loaded.config = config;
  if (!config.hub.token.empty()) loaded.origins["hub.token"].variable = "HF_TOKEN";
  return "# Written by `launch`, for one run of several.\n" + resolved_yaml(loaded, false);
}

class Batch {
 public:
  Batch(const fs::path& folder, const Desk& desk) : folder_(folder), desk_(desk) {}

  Status begin(const std::vector<BatchPod>& pods) {
    for (const BatchPod& pod : pods) {
      pods_.push_back({&pod, 0, 0, {}});
      if (const Status started = next(pods_.back()); !started) return started;
    }
    return Unit{};
  }

  // Looks once at every pod. False when none has anything left.
  Result<bool> look() {
    bool busy = false;
    for (Place& place : pods_) {
      if (place.child != 0) {
        const Result<int> code = wait_for_exit(place.child, std::chrono::milliseconds(0));
        if (code || code.error().kind != ErrorKind::unreachable) {
          if (const Status gone_on = ended(place, code ? *code : 1); !gone_on) {
            return gone_on.error();
          }
        }
      }
      busy = busy || place.child != 0;
    }
    ++looks_;
    return busy;
  }

  // What runs goes on; those who watch it are told to stop watching.
  void interrupt() {
    report.interrupted = true;
    for (const Place& place : pods_) {
      if (place.child != 0) ::kill(place.child, SIGINT);
    }
  }

  void name_what_was_not_started() {
    for (Place& place : pods_) {
      for (; place.step < place.pod->steps.size(); ++place.step) {
        report.ends.push_back({place.pod->name, step_of(place).run_name, -1, ""});
      }
    }
  }

  BatchReport report;

 private:
  struct Place {
    const BatchPod* pod;
    std::size_t step;
    pid_t child;  // 0: none
    fs::path log;
  };

  static const BatchStep& step_of(const Place& place) {
    return place.pod->steps[place.step];
  }

  void say(const Place& place, const std::string& what) const {
    if (!desk_.flags.json)
      print(place.pod->name + ": " + step_of(place).run_name + " " + what + "\n");
  }

  Status next(Place& place) {
    place.child = 0;
    if (place.step >= place.pod->steps.size() || report.interrupted) return Unit{};
    return step_of(place).is_running ? watch(place) : start(place);
  }

  Status start(Place& place) {
    const BatchStep& step = step_of(place);
    const fs::path file = folder_ / (step.run_name + ".yaml");
    place.log = folder_ / (step.run_name + ".log");
    const Status written = write_file(file, file_text(step.config), 0600);
    if (!written) return written;
    const Result<pid_t> child =
        start_beside("launch", {"run", "-c", file.string(), "--wait", "--yes"}, place.log,
                     step.config.hub.token, desk_);
    if (!child) return child.error();
    place.child = *child;
    say(place, "begins; see " + place.log.string());
    return Unit{};
  }

  // Somebody else's run, or one of an earlier life of ours.
  Status watch(Place& place) {
    place.log = folder_ / (step_of(place).run_name + ".status");
    std::error_code code;
    fs::remove(place.log, code);
    const Result<pid_t> child =
        start_beside("status", {step_of(place).run_name, "--json"}, place.log, Secret(), desk_);
    if (!child) return child.error();
    place.child = *child;
    if (looks_ == 0) say(place, "runs already; what comes next waits for its end");
    return Unit{};
  }

  bool is_gone(const Place& place) const {
    const Result<std::string> text = read_file(place.log);
    if (!text) return false;
    const auto document = parse_json(*text, "status");
    if (!document || !document->contains("runs") || (*document)["runs"].empty()) return false;
    return text_at((*document)["runs"][0], "state") == "gone";
  }

  Status ended(Place& place, int code) {
    if (step_of(place).is_running && !is_gone(place)) {
      if (report.interrupted) {
        place.child = 0;
        return Unit{};
      }
      desk_.clock.sleep_for(kLooksBetweenQuestions * kBetweenLooks);
      return watch(place);
    }
    if (step_of(place).is_running) {
      say(place, "has ended");
    } else {
      say(place, code == 0 ? "is done" : "ended with code " + std::to_string(code));
      report.ends.push_back({place.pod->name, step_of(place).run_name, code, place.log.string()});
    }
    const bool over = ends_the_pod(code) && !step_of(place).is_running;
    ++place.step;
    if (!over) return next(place);
    place.child = 0;
    return Unit{};
  }

  fs::path folder_;
  const Desk& desk_;
  std::vector<Place> pods_;
  int looks_ = 0;
};

}  // namespace

bool ends_the_pod(int code) {
  return code == static_cast<int>(ExitCode::not_verified) ||
         code == static_cast<int>(ExitCode::unauthorized) ||
         code == static_cast<int>(ExitCode::guard);
}

Result<BatchReport> carry_out_batch(const std::vector<BatchPod>& pods, const fs::path& folder,
                                    const Desk& desk) {
  if (const Status made = make_folders(folder); !made) return made.error();
  const Interrupts interrupts;
  Batch batch(folder, desk);
  if (const Status begun = batch.begin(pods); !begun) {
    batch.interrupt();
    return begun.error();
  }
  for (;;) {
    const Result<bool> busy = batch.look();
    if (!busy) {
      batch.interrupt();
      return busy.error();
    }
    if (!*busy) break;
    if (Interrupts::seen() != 0 && !batch.report.interrupted) batch.interrupt();
    desk.clock.sleep_for(kBetweenLooks);
  }
  batch.name_what_was_not_started();
  return std::move(batch.report);
}

ExitCode batch_end(const BatchReport& report, const Desk& desk) {
  int worst = 0;
  nlohmann::json list = nlohmann::json::array();
  for (const BatchEnd& end : report.ends) {
    if (worst == 0 && end.code > 0) worst = end.code;
    list.push_back(
        {{"pod", end.pod}, {"name", end.run_name}, {"code", end.code}, {"log", end.log}});
    if (desk.flags.json) continue;
    const std::string how = end.code == 0 ? "done"
                            : end.code == -1
                                ? "not started"
                                : "code " + std::to_string(end.code) + ", see " + end.log;
    print(end.run_name + ": " + how + "\n");
  }
  if (desk.flags.json) {
    print(json_line({{"ok", worst == 0 && !report.interrupted}, {"runs", list}}) + "\n");
  }
  if (report.interrupted) {
    note(desk, "what runs goes on without this terminal; the same command goes on with the rest");
    return ExitCode::interrupted;
  }
  return static_cast<ExitCode>(worst);
}

Result<int> run_beside(const std::string& program, std::vector<std::string> words,
                       const fs::path& log, const Desk& desk) {
  const Result<pid_t> child = start_beside(program, std::move(words), log, Secret(), desk);
  if (!child) return child.error();
  return wait_for_exit(*child, std::chrono::hours(1));
}

}  // namespace mayfly
