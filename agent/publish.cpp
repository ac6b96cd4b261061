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
#include "core/store/s3.h"

namespace mayfly {

Result<std::map<std::string, Secret>> read_secrets(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) == 0 && (info.st_mode & 077) != 0) {
    return Error{ErrorKind::refused, "others may read the secrets file " + path, "chmod 600 it"};
  }
  std::map<std::string, Secret> secrets;
  const Result<std::string> text = read_file(path);
  if (!text) {
    if (text.error().kind == ErrorKind::not_found) return secrets;
    return text.error();
  }
  const Result<nlohmann::json> json = parse_json(*text, "the secrets file");
  if (!json) return Error{ErrorKind::corrupt, "the secrets file is not valid JSON"};
  if (!json->is_object()) return Error{ErrorKind::corrupt, "the secrets file holds no object"};
  for (const auto& [name, value] : json->items()) {
    if (value.is_string()) secrets[name] = Secret(value.get<std::string>());
  }
  return secrets;
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
struct S3Sink {
  S3Sink(S3Place place, AwsCredentials credentials)
      : http(curl_options_from_environment()),
        session(http, clock, std::move(place), std::move(credentials)),
        store(session) {}

  SystemClock clock;
  CurlHttpClient http;
  S3Session session;
  S3Store store;
};

Result<std::shared_ptr<Store>> open_hub(const HubAddress& address, const std::string& repo,
                                        bool private_repo) {
  const Result<RepoName> name = parse_repo_name(repo);
  if (!name) return while_doing("reading the plan's hub repository", name.error());
  const auto sink =
      std::make_shared<HubSink>(address, HubRepo{RepoKind::model, *name}, private_repo);
  return std::shared_ptr<Store>(sink, &sink->store);
}

Result<std::shared_ptr<Store>> open_bucket(const RunPlan& plan,
                                           const std::map<std::string, Secret>& secrets) {
  const StorageConfig& s3 = plan.config.storage;
  AwsCredentials credentials = aws_credentials_from([&](const char* name) {
    const auto found = secrets.find(name);
    return found == secrets.end() ? std::string() : found->second.reveal();
  });
  if (credentials.empty()) {
    return Error{ErrorKind::unauthorized,
                 "there are no credentials on this machine for s3://" + *s3.s3_bucket};
  }
  S3Place place{s3.s3_endpoint.value_or(""), s3.s3_region.value_or(""), *s3.s3_bucket,
                s3.s3_prefix + plan.run_name + "/"};
  const auto sink = std::make_shared<S3Sink>(std::move(place), std::move(credentials));
  return std::shared_ptr<Store>(sink, &sink->store);
}

// `allow`: patterns of file names.
DownloadModel download_from(const HubAddress& address, std::vector<std::string> allow) {
  return [address, allow](const std::string& repo, const std::string& revision,
                          const std::filesystem::path& folder,
                          const std::function<void(std::int64_t)>& progress) -> Status {
    const Result<RepoName> name = parse_repo_name(repo);
    if (!name) return name.error();
    HubLink link(address);
    const Result<Snapshot> fetched = download_snapshot(
        link.session, {.repo = {RepoKind::model, *name},
                       .revision = revision,
                       .allow = allow,
                       .folder = folder,
                       .progress = [&](const DownloadProgress& at) { progress(at.bytes_done); }});
    if (!fetched) return fetched.error();
    return Unit{};
  };
}

}  // namespace

Result<Publishing> open_publishing(const RunPlan& plan, const std::string& secrets_path) {
  const Result<std::map<std::string, Secret>> secrets = read_secrets(secrets_path);
  if (!secrets) return secrets.error();
  HubAddress address;
  if (!plan.hub_endpoint.empty()) address.endpoint = plan.hub_endpoint;
  if (const auto token = secrets->find("HF_TOKEN"); token != secrets->end()) {
    address.token = token->second;
  }
  Publishing publishing;
  for (const auto& [name, secret] : *secrets) publishing.secrets.push_back(secret);
  publishing.download =
      download_from(address, {"*.safetensors", "*.json", "*.txt", "*.model", "*.jinja"});
  publishing.download_checkpoint = download_from(address, {});
  if (plan.hub_endpoint.empty() || plan.hub_repo.empty()) return publishing;

  std::vector<Result<std::shared_ptr<Store>>> opened;
  const HubConfig& hub = plan.config.hub;
  opened.push_back(open_hub(address, plan.hub_repo, hub.private_repo));
  if (hub.fallback_repo) opened.push_back(open_hub(address, *hub.fallback_repo, hub.private_repo));
  if (plan.config.storage.s3_bucket) opened.push_back(open_bucket(plan, *secrets));
  for (const auto& sink : opened) {
    if (!sink) return sink.error();
    publishing.sinks.push_back(*sink);
  }
  return publishing;
}

}  // namespace mayfly
