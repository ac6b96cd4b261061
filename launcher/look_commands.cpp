#include "launcher/look_commands.h"

#include <algorithm>
#include <deque>
#include <fstream>
#include <optional>

#include <nlohmann/json.hpp>

#include "core/atomic_file.h"
#include "core/json.h"
#include "core/provider/destroy.h"
#include "core/run/directory.h"
#include "launcher/follow.h"
#include "launcher/mirror.h"
#include "launcher/status_report.h"

namespace mayfly {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

namespace {

// The one run that is meant; the newest if none is named.
Result<KnownRun> one_run(const CommandLine& line, const Desk& desk) {
  const Result<std::vector<KnownRun>> runs = desk.state.runs();
  if (!runs) return runs.error();
  if (line.words.size() > 1) {
    return Error{ErrorKind::usage, "`launch " + line.verb + "` takes one run"};
  }
  if (!line.words.empty()) return find_run(*runs, line.words.front());
  if (runs->empty()) return Error{ErrorKind::not_found, "there are no runs"};
  return runs->back();
}

// Reads a growing text file line by line from where it was.
class LogTail {
 public:
  LogTail(std::string stage, fs::path path) : stage_(std::move(stage)), path_(std::move(path)) {}

  std::vector<std::string> new_lines() {
    std::vector<std::string> lines;
    std::ifstream file(path_, std::ios::binary);
    if (!file) return lines;
    file.seekg(static_cast<std::streamoff>(offset_));
    std::string line;
    while (std::getline(file, line)) {
      if (file.eof()) break;  // not complete yet
      offset_ += line.size() + 1;
      lines.push_back(stage_ + " | " + line);
    }
    return lines;
  }

 private:
  std::string stage_;
  fs::path path_;
  std::size_t offset_ = 0;
};

std::vector<std::pair<std::string, fs::path>> log_files(const KnownRun& run, const Desk& desk,
                                                        const std::string& stage) {
  const RunDirectory folder{run.run_dir};
  std::vector<std::pair<std::string, fs::path>> files;
  if (run.provider == "local" && !run.progress.id.empty()) {
    files.emplace_back("boot ", desk.state_dir / "local" / run.progress.id / "console.log");
  }
  files.emplace_back("agent", folder.agent_log());
  files.emplace_back("train", folder.trainer_log());
  std::erase_if(files, [&](const auto& file) { return !stage.empty() && file.first != stage; });
  return files;
}

Result<ExitCode> save_logs(const KnownRun& run, const std::string& to,
                           const std::vector<std::pair<std::string, fs::path>>& files) {
  const fs::path folder = fs::path(to) / run.name;
  if (const Status made = make_folders(folder); !made) return made.error();
  std::string saved;
  std::error_code code;
  for (const auto& [stage, path] : files) {
    if (!fs::exists(path, code)) continue;
    fs::copy_file(path, folder / path.filename(), fs::copy_options::overwrite_existing, code);
    if (code) {
      return Error{ErrorKind::refused, "copying " + path.string() + ": " + code.message()};
    }
    saved += "  " + (folder / path.filename()).string() + "\n";
  }
  if (saved.empty()) return Error{ErrorKind::not_found, "there are no logs of " + run.name};
  print("saved\n" + saved);
  return ExitCode::ok;
}

// The folder to pull: the final adapter, else the newest complete checkpoint.
std::optional<fs::path> adapter_of(const RunDirectory& run) {
  std::error_code code;
  if (fs::exists(run.adapter() / "adapter_model.safetensors", code)) return run.adapter();
  std::optional<fs::path> newest;
  long long newest_step = -1;
  constexpr std::string_view kPrefix = "checkpoint-";
  for (const auto& entry : fs::directory_iterator(run.checkpoints(), code)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(kPrefix)) continue;
    const long long step = std::atoll(name.c_str() + kPrefix.size());
    if (step <= newest_step) continue;
    newest_step = step;
    newest = entry.path();
  }
  return newest;
}

// What belongs to an adapter, as the hub gets it; not the optimizer's state.
bool belongs_to_adapter(const std::string& name) {
  return name == "adapter_model.safetensors" || name == "adapter_config.json" ||
         name == "README.md" || name == "special_tokens_map.json" ||
         name == "chat_template.jinja" || name.starts_with("tokenizer");
}

std::string receipt_text(const Receipt& receipt) {
  const bool sure = receipt.state == ReceiptState::confirmed;
  std::string text = "run        " + receipt.run_name + " (" + receipt.run_id + ")\n";
  text += "machine    " + receipt.provider + " " + receipt.instance_id + ", from " +
          format_utc(receipt.created_at) + "\n";
  text +=
      "ended      " + receipt.reason + ", exit code " + std::to_string(receipt.exit_code) + "\n";
  text += "destroy    asked " + format_utc(receipt.destroy_asked_at) +
          (receipt.destroy_answer.empty() ? "" : ": " + receipt.destroy_answer) + "\n";
  text += std::string("gone       ") +
          (sure && receipt.gone_listed_at
               ? "not in the provider's listing of " + format_utc(*receipt.gone_listed_at)
               : "NOT CONFIRMED") +
          "\n";
  text += "cost       " + format_usd(receipt.cost) + "\n";
  std::string branches;
  for (const std::string& branch : receipt.safe_branches) {
    branches += (branches.empty() ? "" : ", ") + branch;
  }
  text += "on the hub " + (branches.empty() ? "nothing" : branches) + "\n";
  if (!receipt.final_upload_sha256.empty()) {
    text += "files      sha256 " + receipt.final_upload_sha256 + "\n";
  }
  return text;
}

}  // namespace

Result<ExitCode> logs_command(const CommandLine& line, Desk& desk) {
  const Result<KnownRun> run = one_run(line, desk);
  if (!run) return run.error();
  // What was copied before is shown even so.
  if (const Status fresh = refresh_mirror(*run, MirrorDepth::logs, desk); !fresh) {
    note(desk, "stale: the machine could not be asked: " + fresh.error().message);
  }
  const auto files = log_files(*run, desk, line.logs.stage);
  if (!line.logs.save.empty()) return save_logs(*run, line.logs.save, files);
  std::vector<LogTail> tails;
  for (const auto& [stage, path] : files) tails.emplace_back(stage, path);

  std::deque<std::string> lines;
  for (LogTail& tail : tails) {
    for (std::string& text : tail.new_lines()) lines.push_back(std::move(text));
  }
  const long long most = line.logs.tail.value_or(static_cast<long long>(lines.size()));
  while (static_cast<long long>(lines.size()) > most) lines.pop_front();
  for (const std::string& text : lines) print(text + "\n");
  if (!line.logs.follow) {
    if (lines.empty() && most > 0) note(desk, "there are no logs of " + run->name + " yet");
    return ExitCode::ok;
  }

  const auto provider = provider_of(desk, run->provider);
  if (!provider) return provider.error();
  const Interrupts interrupts;
  for (int round = 1; Interrupts::seen() == 0; ++round) {
    const bool elsewhere = is_elsewhere(*run);
    const int kAskEvery = elsewhere ? 50 : 10;
    bool gone = false;
    // One that ends does not answer; its provider says so in time.
    if (elsewhere && round % 10 == 0) (void)refresh_mirror(*run, MirrorDepth::logs, desk);
    if (round % kAskEvery == 0 && !run->progress.id.empty()) {
      const Result<bool> answer = is_gone(**provider, run->progress.id);
      gone = answer && *answer;
    }
    for (LogTail& tail : tails) {
      for (const std::string& text : tail.new_lines()) print(text + "\n");
    }
    if (gone) return ExitCode::ok;
    desk.clock.sleep_for(200ms);
  }
  return ExitCode::interrupted;
}

Result<ExitCode> pull_command(const CommandLine& line, Desk& desk) {
  const Result<KnownRun> run = one_run(line, desk);
  if (!run) return run.error();
  if (line.to.empty()) {
    return Error{ErrorKind::usage, "`launch pull` needs a folder: --to DIR"};
  }
  const auto from = adapter_of(RunDirectory{run->run_dir});
  if (!from) {
    return Error{ErrorKind::not_found,
                 "there is no adapter of " + run->name + " in " + run->run_dir,
                 "if it was published: launch hub get " + run->hub_repo};
  }
  std::error_code code;
  const fs::path to = fs::absolute(line.to, code).lexically_normal();
  if (fs::exists(to, code) && !fs::is_empty(to, code)) {
    return Error{ErrorKind::refused, to.string() + " is there already",
                 "give a folder that does not exist or is empty"};
  }
  if (const Status made = make_folders(to); !made) return made.error();
  for (const auto& entry : fs::directory_iterator(*from)) {
    const std::string name = entry.path().filename().string();
    if (!belongs_to_adapter(name)) continue;
    fs::copy_file(entry.path(), to / name, code);
    if (code) return Error{ErrorKind::refused, "copying " + name + ": " + code.message()};
  }
  print(from->filename().string() + " of " + run->name + " is in " + to.string() + "\n");
  return ExitCode::ok;
}

Result<ExitCode> receipt_command(const CommandLine& line, Desk& desk) {
  Result<KnownRun> run = one_run(line, desk);
  if (!run) return run.error();
  if (line.verify) {
    const auto provider = provider_of(desk, run->provider);
    if (!provider) return provider.error();
    if (!run->progress.id.empty()) {
      const Result<bool> gone = is_gone(**provider, run->progress.id);
      if (!gone) return while_doing("looking at the provider's listing", gone.error());
      if (!*gone) {
        return Error{ErrorKind::outcome_unknown,
                     "the provider still lists " + run->progress.id + " of " + run->name,
                     "it costs money: end it with `launch down " + run->name + "`"};
      }
    }
    const Result<bool> settled = settle_run(desk.state, **provider, *run, desk.clock);
    if (!settled) return settled.error();
  }
  const Result<Receipt> receipt = read_receipt(RunDirectory{run->run_dir});
  if (!receipt || receipt->run_id != run->run_id) {
    if (!receipt && receipt.error().kind != ErrorKind::not_found) return receipt.error();
    return Error{ErrorKind::not_found, "there is no receipt of " + run->name,
                 may_be_billing(*run) ? "it has not ended: see `status`"
                                      : "its agent did not live to write one"};
  }
  if (desk.flags.json) {
    const Result<std::string> text = read_file(RunDirectory{run->run_dir}.receipt());
    if (!text) return text.error();
    print(*text + "\n");
  } else {
    print(receipt_text(*receipt));
    if (line.verify) print("verified   the provider does not list the machine now\n");
  }
  return receipt->state == ReceiptState::confirmed ? ExitCode::ok : ExitCode::not_verified;
}

}  // namespace mayfly
