#include "launcher/last_words.h"

#include <cstdlib>

#include "core/atomic_file.h"
#include "core/http/curl_client.h"
#include "core/run/directory.h"
#include "core/run/run_status.h"
#include "core/store/hub_download.h"
#include "core/store/hub_session.h"
#include "launcher/embedded_hub.h"

namespace mayfly {

namespace fs = std::filesystem;

namespace {

HubAddress address_of(const KnownRun& run) {
  HubAddress address = hub_address_from([](const char* name) {
    const char* value = std::getenv(name);
    return std::string(value == nullptr ? "" : value);
  });
  address.endpoint = run.hub_endpoint;
  if (run.hub_endpoint == embedded_hub_endpoint()) address.token = embedded_hub_token();
  return address;
}

// Of two copies the newer; a log that is longer knows more.
void keep_better(const fs::path& from, const fs::path& to) {
  std::error_code code;
  if (to.filename() == "status.json") {
    const Result<RunStatus> there = read_status(from.string());
    const Result<RunStatus> here = read_status(to.string());
    if (!there || (here && here->updated_at >= there->updated_at)) return;
  } else if (fs::exists(to, code) && fs::file_size(to, code) >= fs::file_size(from, code)) {
    return;
  }
  if (make_folders(to.parent_path())) {
    fs::copy_file(from, to, fs::copy_options::overwrite_existing, code);
  }
}

}  // namespace

Status fetch_last_words(const KnownRun& run, Clock& clock) {
  const Result<RepoName> repo = parse_repo_name(run.hub_repo);
  if (!repo) return repo.error();
  CurlHttpClient http(curl_options_from_environment());
  HubPatience patience;
  patience.deadline = std::chrono::seconds(15);
  patience.request_timeout = std::chrono::seconds(10);
  HubSession session(http, clock, address_of(run), patience);
  const RunDirectory here{run.run_dir};
  const fs::path scratch = here.root / ".last_words";
  const Result<Snapshot> fetched = download_snapshot(
      session,
      {.repo = {RepoKind::model, *repo}, .allow = {"logs/" + run.name + "/*"}, .folder = scratch});
  const fs::path from = scratch / "logs" / run.name;
  std::error_code code;
  if (fetched) {
    keep_better(from / "status.json", here.status());
    keep_better(from / "events.jsonl", here.events());
    keep_better(from / "decisions.jsonl", here.decisions());
    keep_better(from / "agent.log", here.agent_log());
    keep_better(from / "train.log", here.trainer_log());
  }
  fs::remove_all(scratch, code);
  return fetched ? Status(Unit{}) : Status(fetched.error());
}

}  // namespace mayfly
