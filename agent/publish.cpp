#include "agent/publish.h"

#include <nlohmann/json.hpp>
#include <sys/stat.h>

#include "core/atomic_file.h"
#include "core/clock.h"
#include "core/http/curl_client.h"
#include "core/json.h"
#include "core/store/hub.h"
#include "core/store/hub_download.h"
#include "core/store/hub_session.h"

namespace mayfly {

Result<Secret> read_token(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) == 0 && (info.st_mode & 077) != 0) {
    return Error{ErrorKind::refused, "others may read the secrets file " + path, "chmod 600 it"};
  }
  const Result<std::string> text = read_file(path);
  if (!text) {
    if (text.error().kind == ErrorKind::not_found) return Secret();
    return text.error();
  }
  const Result<nlohmann::json> json = parse_json(*text, "the secrets file");
  if (!json) return Error{ErrorKind::corrupt, "the secrets file is not valid JSON"};
  if (!json->is_object()) return Error{ErrorKind::corrupt, "the secrets file holds no object"};
  const auto token = json->find("HF_TOKEN");
  if (token == json->end() || !token->is_string()) return Secret();
  return Secret(token->get<std::string>());
}

namespace {

// Everything that a connection to one hub consists of. One thread.
struct HubLink {
  explicit HubLink(HubAddress address)
      : http(curl_options_from_environment()), session(http, clock, std::move(address)) {}

  SystemClock clock;
  CurlHttpClient http;
  HubSession session;
};
struct HubSink {
  HubSink(HubAddress address, HubRepo repo, bool private_repo)
      : link(std::move(address)), store(link.session, std::move(repo), private_repo) {}

  HubLink link;
  HubStore store;
};

DownloadModel download_from(const HubAddress& address) {
  return [address](const std::string& repo, const std::string& revision,
                   const std::filesystem::path& folder,
                   const std::function<void(std::int64_t)>& progress) -> Status {
    const Result<RepoName> name = parse_repo_name(repo);
    if (!name) return name.error();
    HubLink link(address);
    const Result<Snapshot> fetched = download_snapshot(
        link.session, {.repo = {RepoKind::model, *name},
                       .revision = revision,
                       .allow = {"*.safetensors", "*.json", "*.txt", "*.model", "*.jinja"},
                       .folder = folder,
                       .progress = [&](const DownloadProgress& at) { progress(at.bytes_done); }});
    if (!fetched) return fetched.error();
    return Unit{};
  };
}

}  // namespace

Result<Publishing> open_publishing(const RunPlan& plan, const std::string& secrets_path) {
  const Result<Secret> token = read_token(secrets_path);
  if (!token) return token.error();
  HubAddress address;
  if (!plan.hub_endpoint.empty()) address.endpoint = plan.hub_endpoint;
  address.token = *token;
  Publishing publishing;
  publishing.download = download_from(address);
  if (plan.hub_endpoint.empty() || plan.hub_repo.empty()) return publishing;

  const Result<RepoName> name = parse_repo_name(plan.hub_repo);
  if (!name) return while_doing("reading the plan's hub repository", name.error());
  const auto sink = std::make_shared<HubSink>(address, HubRepo{RepoKind::model, *name},
                                              plan.config.hub.private_repo);
  publishing.store = std::shared_ptr<Store>(sink, &sink->store);
  return publishing;
}

}  // namespace mayfly
