#include "launcher/hub_command.h"

#include <algorithm>
#include <cstdlib>

#include <nlohmann/json.hpp>

#include "core/http/curl_client.h"
#include "core/json.h"
#include "core/store/hub.h"
#include "core/store/hub_download.h"
#include "launcher/desk.h"
#include "launcher/embedded_hub.h"
#include "launcher/run_command.h"

namespace mayfly {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

constexpr std::string_view kLocalOwner = "local/";

// "owner/name@revision", as a person writes it.
struct HubTarget {
  HubRepo repo;
  std::string revision = "main";
};

Result<HubTarget> read_hub_target(std::string text) {
  HubTarget target;
  if (const auto at = text.find('@'); at != std::string::npos) {
    target.revision = text.substr(at + 1);
    text.resize(at);
    if (target.revision.empty()) {
      return Error{ErrorKind::usage, "a branch, tag or commit is missing after @"};
    }
  }
  constexpr std::string_view kDatasets = "datasets/";
  if (text.starts_with(kDatasets)) {
    target.repo.kind = RepoKind::dataset;
    text = text.substr(kDatasets.size());
  }
  const auto name = parse_repo_name(text);
  if (!name) return name.error();
  target.repo.name = *name;
  return target;
}

// Everything that a conversation with a hub takes.
struct Line {
  Line(const HubAddress& address, Clock& clock)
      : http(curl_options_from_environment()), hub(http, clock, address) {}
  CurlHttpClient http;
  HubSession hub;
};

// The files to upload, with their paths in the repository.
Result<std::vector<StoreUpload>> collect(const fs::path& local, std::string remote) {
  std::error_code code;
  while (remote.ends_with('/')) remote.pop_back();
  if (fs::is_regular_file(local, code)) {
    const std::string path = remote.empty() ? local.filename().string() : remote;
    return std::vector<StoreUpload>{{local, path}};
  }
  if (!fs::is_directory(local, code)) {
    return Error{ErrorKind::not_found, "no file or folder " + local.string()};
  }
  std::vector<StoreUpload> files;
  for (auto it = fs::recursive_directory_iterator(local, code);
       !code && it != fs::recursive_directory_iterator(); it.increment(code)) {
    const std::string name = it->path().filename().string();
    if (name == ".git" || name == ".cache") {
      it.disable_recursion_pending();
    } else if (it->is_regular_file(code)) {
      const std::string inside = it->path().lexically_relative(local).generic_string();
      files.push_back({it->path(), remote.empty() ? inside : remote + "/" + inside});
    }
  }
  if (code) return Error{ErrorKind::refused, "reading " + local.string() + ": " + code.message()};
  if (files.empty()) return Error{ErrorKind::not_found, local.string() + " holds no files"};
  std::sort(files.begin(), files.end(),
            [](const StoreUpload& a, const StoreUpload& b) { return a.path < b.path; });
  return files;
}

Result<ExitCode> create(HubStore& store, const HubTarget& target, bool as_json) {
  if (Status made = store.ensure_repository(); !made) return made.error();
  print(as_json ? json_line({{"repo", target.repo.name.full()}}) + "\n"
                : target.repo.name.full() + " is there\n");
  return ExitCode::ok;
}

Result<ExitCode> put(HubStore& store, const HubTarget& target, const HubCommand& command) {
  const auto& words = command.words;
  const auto files = collect(words[2], words.size() > 3 ? words[3] : "");
  if (!files) return files.error();
  if (Status branch = store.ensure_branch(target.revision); !branch) return branch.error();
  const std::string summary = "Upload " + fs::path(words[2]).lexically_normal().filename().string();
  const auto commit = store.commit(target.revision, summary, *files);
  if (!commit) return commit.error();
  if (Status right = verify_upload(store, commit->commit, *files); !right) return right.error();
  print(command.json
            ? json_line({{"commit", commit->commit}, {"files", files->size()}}) + "\n"
            : std::to_string(files->size()) + " files at " + target.revision + ", commit " +
                  commit->commit.substr(0, 12) + ", compared with the hub's list\n");
  return ExitCode::ok;
}

Result<ExitCode> get(HubSession& hub, const HubTarget& target, const HubCommand& command) {
  SnapshotRequest request{target.repo, target.revision, {}, command.words[2], {}};
  request.allow.assign(command.words.begin() + 3, command.words.end());
  const auto snapshot = download_snapshot(hub, request);
  if (!snapshot) return snapshot.error();
  print(command.json ? json_line({{"commit", snapshot->commit},
                                  {"files", snapshot->files},
                                  {"bytes", snapshot->bytes}}) +
                           "\n"
                     : std::to_string(snapshot->files.size()) + " files, " +
                           std::to_string(snapshot->bytes) + " bytes, commit " +
                           snapshot->commit.substr(0, 12) + "\n");
  return ExitCode::ok;
}

Result<ExitCode> list(HubStore& store, const HubTarget& target, bool as_json) {
  const auto files = store.list(target.revision);
  if (!files) return files.error();
  json listed = json::array();
  for (const StoredFile& file : *files) {
    if (!as_json) print(file.path + "  " + std::to_string(file.size) + "\n");
    json one = {{"path", file.path}, {"size", file.size}};
    if (!file.sha256.empty()) one["sha256"] = file.sha256;
    listed.push_back(one);
  }
  if (as_json) print(json_line(listed) + "\n");
  return ExitCode::ok;
}

Result<ExitCode> list_branches(HubStore& store, bool as_json) {
  const auto branches = store.branches();
  if (!branches) return branches.error();
  for (const std::string& branch : *branches) {
    if (!as_json) print(branch + "\n");
  }
  if (as_json) print(json_line(json(*branches)) + "\n");
  return ExitCode::ok;
}

// How many words each command takes, itself and the repository among them.
Status check_words(const std::vector<std::string>& words) {
  const std::string hint = "see `launch hub --help`";
  if (words.empty()) return Error{ErrorKind::usage, "`launch hub` needs a command", hint};
  const std::string& what = words[0];
  const bool known =
      what == "create" || what == "put" || what == "get" || what == "ls" || what == "branches";
  if (!known) {
    return Error{ErrorKind::usage, "`launch hub` has no command \"" + what + "\"",
                 "it has create, put, get, ls and branches"};
  }
  const std::size_t least = what == "put" || what == "get" ? 3 : 2;
  const std::size_t most = what == "put" ? 4 : what == "get" ? SIZE_MAX : 2;
  if (words.size() >= least && words.size() <= most) return Unit{};
  return Error{
      ErrorKind::usage,
      "`launch hub " + what + "` has " + (words.size() < least ? "too few" : "too many") + " words",
      hint};
}

}  // namespace

Result<ExitCode> hub_command(const HubCommand& command, const HubAddress& address, Clock& clock) {
  if (Status checked = check_words(command.words); !checked) return checked.error();
  const auto target = read_hub_target(command.words[1]);
  if (!target) return target.error();
  Line line(address, clock);
  HubStore store(line.hub, target->repo, command.is_private);
  const std::string& what = command.words[0];
  if (what == "create") return create(store, *target, command.json);
  if (what == "put") return put(store, *target, command);
  if (what == "get") return get(line.hub, *target, command);
  if (what == "ls") return list(store, *target, command.json);
  return list_branches(store, command.json);
}

Result<HubAddress> address_for(const HubCommand& command, Clock& clock) {
  HubAddress address = hub_address_from([](const char* name) {
    const char* value = std::getenv(name);
    return std::string(value != nullptr ? value : "");
  });
  const char* named = std::getenv("HF_ENDPOINT");
  if (named != nullptr && named[0] != '\0') return address;
  const bool is_local = command.words.size() > 1 && command.words[1].starts_with(kLocalOwner);
  if (!address.token.empty() && !is_local) return address;
  const auto embedded = ensure_embedded_hub(program_folder(), clock);
  if (!embedded) return embedded.error();
  return HubAddress{embedded->endpoint, embedded->token};
}

}  // namespace mayfly
