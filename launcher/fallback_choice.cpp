#include "launcher/fallback_choice.h"

#include <algorithm>
#include <cctype>

#include "core/hub_names.h"
#include "core/store/s3_session.h"
#include "core/url.h"

namespace mayfly {

namespace {

constexpr const char* kAwsVariables[] = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY",
                                         "AWS_SESSION_TOKEN"};

// Source: "General purpose bucket naming rules", Amazon S3 user guide.
bool is_bucket_name(const std::string& name) {
  const auto allowed = [](char letter) {
    return std::islower(static_cast<unsigned char>(letter)) != 0 ||
           std::isdigit(static_cast<unsigned char>(letter)) != 0 || letter == '-' || letter == '.';
  };
  const auto edge = [&](char letter) { return allowed(letter) && letter != '-' && letter != '.'; };
  return name.size() >= 3 && name.size() <= 63 && std::all_of(name.begin(), name.end(), allowed) &&
         edge(name.front()) && edge(name.back()) && name.find("..") == std::string::npos;
}

Status complete_s3(StorageConfig& s3, const std::function<std::string(const char*)>& variable) {
  if (!is_bucket_name(*s3.s3_bucket)) {
    return Error{ErrorKind::invalid_config,
                 "storage.s3_bucket: \"" + *s3.s3_bucket + "\" is not the name of a bucket",
                 "give the name alone, as in my-bucket: no s3://, no path"};
  }
  if (s3.s3_endpoint && origin_of(*s3.s3_endpoint).empty()) {
    return Error{ErrorKind::invalid_config,
                 "storage.s3_endpoint: " + *s3.s3_endpoint + " is no http or https address"};
  }
  for (const char* name : {"AWS_REGION", "AWS_DEFAULT_REGION"}) {
    if (!s3.s3_region && !variable(name).empty()) s3.s3_region = variable(name);
  }
  // Servers that are not AWS's take any region, or this one.
  if (!s3.s3_region && s3.s3_endpoint) s3.s3_region = "us-east-1";
  if (!s3.s3_region) {
    return Error{ErrorKind::invalid_config, "storage.s3_bucket is given, but no region",
                 "set storage.s3_region or AWS_REGION"};
  }
  if (!s3.s3_endpoint) s3.s3_endpoint = aws_s3_endpoint(*s3.s3_region);
  if (!s3.s3_prefix.empty() && s3.s3_prefix.back() != '/') s3.s3_prefix += '/';
  return Unit{};
}

}  // namespace

Result<FallbackChoice> choose_fallbacks(RunConfig& config, const std::string& run_name,
                                        const std::string& hub_repo,
                                        const std::function<std::string(const char*)>& variable) {
  FallbackChoice choice;
  if (const auto& repo = config.hub.fallback_repo) {
    const Result<RepoName> name = parse_repo_name(*repo);
    if (!name) return while_doing("hub.fallback_repo", name.error());
    if (*repo == hub_repo) {
      return Error{ErrorKind::invalid_config,
                   "hub.fallback_repo is the same repository as the first: " + hub_repo};
    }
    choice.places.push_back(*repo + " on the same hub");
  }
  StorageConfig& s3 = config.storage;
  if (!s3.s3_bucket) return choice;
  if (const Status complete = complete_s3(s3, variable); !complete) return complete.error();
  if (aws_credentials_from(variable).empty()) {
    return Error{ErrorKind::unauthorized,
                 "storage.s3_bucket is given, but there are no credentials for it",
                 "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, best of a user who may only "
                 "write to this bucket"};
  }
  for (const char* name : kAwsVariables) {
    if (!variable(name).empty()) choice.secrets[name] = Secret(variable(name));
  }
  choice.places.push_back("s3://" + *s3.s3_bucket + "/" + s3.s3_prefix + run_name + "/ at " +
                          *s3.s3_endpoint + ", with AWS_ACCESS_KEY_ID");
  return choice;
}

}  // namespace mayfly
