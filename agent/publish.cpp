#include "agent/publish.h"

#include <nlohmann/json.hpp>
#include <sys/stat.h>

#include "core/atomic_file.h"
#include "core/json.h"

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

Result<Publishing> open_publishing(const RunPlan& plan, const std::string& secrets_path) {
  const Result<Secret> token = read_token(secrets_path);
  if (!token) return token.error();
  Publishing publishing;
  publishing.download = [](const std::string& repo, const std::string&,
                           const std::filesystem::path&,
                           const std::function<void(std::int64_t)>&) -> Status {
    return Error{ErrorKind::unsupported, "models of the hub are not built yet: " + repo};
  };
  if (!plan.hub_endpoint.empty()) {
    return Error{ErrorKind::unsupported, "uploading is not built yet"};
  }
  return publishing;
}

}  // namespace mayfly
