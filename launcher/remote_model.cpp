#include "launcher/remote_model.h"

#include <algorithm>

#include "core/http/curl_client.h"
#include "core/store/hub.h"
#include "core/store/hub_download.h"
#include "core/user_folders.h"
#include "launcher/embedded_hub.h"

namespace mayfly {

namespace fs = std::filesystem;

bool is_hub_id(const std::string& base, const fs::path& working_directory) {
  std::error_code code;
  if (base.empty() || base.front() == '/' || base.front() == '.' || base.front() == '~') {
    return false;
  }
  if (std::count(base.begin(), base.end(), '/') != 1) return false;
  return !fs::exists(working_directory / base, code) && parse_repo_name(base);
}

Result<RemoteModel> preview_model(const ModelConfig& model, const HubChoice& hub, Clock& clock) {
  const Result<RepoName> name = parse_repo_name(model.base);
  if (!name) return name.error();
  const HubRepo repo{RepoKind::model, *name};
  CurlHttpClient http(curl_options_from_environment());
  HubSession session(http, clock, HubAddress{hub.endpoint, hub.token});
  const auto failed = [&](Error error) {
    error = while_doing("looking at the base model " + model.base + " on " + hub.endpoint, error);
    if (hub.embedded) {
      error.hint =
          "results go to the local hub, so the model is looked for there; give a folder, or "
          "name a hub with hub.endpoint and hub.repo";
    } else if (error.kind == ErrorKind::unauthorized) {
      error.hint = "if it is gated, ask for access at " + hub.endpoint + "/" + model.base +
                   " and use a token of the account that was let in; if not, check its name";
    }
    return error;
  };
  Retry retry = session.start_retry();
  RemoteModel found;
  Result<std::string> commit = hub_commit_of(session, repo, model.revision, retry);
  if (!commit) return failed(commit.error());
  found.commit = std::move(*commit);
  const auto files = list_hub_files(session, repo, found.commit, retry);
  if (!files) return failed(files.error());
  for (const StoredFile& file : *files) {
    if (file.path.ends_with(".safetensors")) found.weight_bytes += file.size;
  }
  if (found.weight_bytes == 0) {
    return Error{ErrorKind::unsupported, model.base + " has no weights in safetensors"};
  }
  found.folder = cache_folder() / "models" / (name->owner + "--" + name->name) / found.commit;
  const Result<Snapshot> small = download_snapshot(
      session, {.repo = repo,
                .revision = found.commit,
                .allow = {"config.json", "tokenizer*.json", "special_tokens_map.json", "*.jinja"},
                .folder = found.folder,
                .progress = {}});
  if (!small) return failed(small.error());
  return found;
}

Result<std::optional<RemoteModel>> look_at_model(const RunConfig& config, Clock& clock) {
  std::error_code code;
  if (!is_hub_id(config.model.base, fs::current_path(code))) return std::optional<RemoteModel>{};
  Result<HubChoice> hub = choose_hub(config.hub, "any", 0);
  if (!hub) return hub.error();
  if (hub->embedded) hub->token = embedded_hub_token();
  Result<RemoteModel> model = preview_model(config.model, *hub, clock);
  if (!model) return model.error();
  return std::optional<RemoteModel>(std::move(*model));
}

}  // namespace mayfly
