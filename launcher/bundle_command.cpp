#include "launcher/bundle_command.h"

#include <nlohmann/json.hpp>

#include "core/http/curl_client.h"
#include "core/json.h"
#include "core/sha256.h"
#include "core/store/hub.h"
#include "core/user_folders.h"
#include "launcher/hub_command.h"
#include "launcher/run_command.h"

namespace mayfly {

namespace {

// As cloud-init/bootstrap.sh will: no token, redirects to where the hub keeps large files.
Status fetch_as_anybody(const std::string& url, const Bundle& bundle, HttpClient& http) {
  const std::filesystem::path file = bundle.file.string() + ".fetched";
  HttpRequest request;
  request.url = url;
  request.to_file = file;
  request.max_redirects = 5;
  request.total_timeout = std::chrono::minutes(30);
  const Result<HttpResponse> answer = http.send(request);
  const Result<std::string> hash = sha256_file(file);
  std::error_code code;
  std::filesystem::remove(file, code);
  if (!answer) return while_doing("fetching " + url, answer.error());
  if (answer->status != 200) {
    return Error{
        ErrorKind::unauthorized,
        "nobody can fetch " + url + " without a token: HTTP " + std::to_string(answer->status),
        "a machine that starts has no token: make the repository public, or let `launch` "
        "bring the programs over SSH"};
  }
  if (hash && *hash == bundle.sha256) return Unit{};
  return Error{ErrorKind::corrupt, url + " is not what was uploaded"};
}

}  // namespace

Result<std::string> push_bundle(const Bundle& bundle, const HubRepo& repo, HttpClient& http,
                                HubSession& hub) {
  HubStore store(hub, repo, false);
  if (const Status made = store.ensure_repository(); !made) return made.error();
  const std::string path = "mayfly-" + bundle.sha256.substr(0, 16) + ".tar.gz";
  const std::vector<StoreUpload> files = {{bundle.file, path}};
  const auto commit = store.commit("main", "Add programs for rented machines", files);
  if (!commit) return commit.error();
  const Status right = verify_upload(store, commit->commit, files);
  if (!right) return right.error();
  const std::string url =
      hub.endpoint() + repo.web() + "/resolve/" + commit->commit + "/" + encode_path(path);
  if (const Status there = fetch_as_anybody(url, bundle, http); !there) return there.error();
  return url;
}

Result<ExitCode> bundle_command(const CommandLine& line, Desk& desk) {
  if (line.words.size() != 2 || line.words.front() != "push") {
    return Error{ErrorKind::usage, "`launch bundle` takes push and a repository",
                 "launch bundle push me/mayfly-programs"};
  }
  const Result<RepoName> name = parse_repo_name(line.words[1]);
  if (!name) return name.error();
  const Result<Bundle> bundle = make_bundle(program_folder(), cache_folder());
  if (!bundle) return bundle.error();
  const Result<HubAddress> address =
      address_for(HubCommand{{"put", line.words[1]}, false, false}, desk.clock);
  if (!address) return address.error();
  CurlHttpClient http(curl_options_from_environment());
  HubSession hub(http, desk.clock, *address);
  const Result<std::string> url = push_bundle(*bundle, {RepoKind::model, *name}, http, hub);
  if (!url) return url.error();
  print(desk.flags.json
            ? json_line({{"ok", true}, {"url", *url}, {"sha256", bundle->sha256}}) + "\n"
            : "agent:\n  url: " + *url + "\n  sha256: " + bundle->sha256 + "\n");
  return ExitCode::ok;
}

}  // namespace mayfly
