#include "core/provider/cloud_keys.h"

#include <algorithm>

#include "core/url.h"

namespace mayfly {

namespace {

std::string variable(const CloudEnvironment& environment, std::string_view name) {
  const auto found = environment.find(std::string(name));
  return found == environment.end() ? std::string() : found->second;
}

}  // namespace

bool is_this_machine(const std::string& endpoint) {
  const std::string origin = origin_of(endpoint);
  return origin.starts_with("http://127.0.0.1:") || origin.starts_with("http://localhost:") ||
         origin.starts_with("http://[::1]:");
}

const CloudRow* cloud_row(std::string_view name) {
  const auto rows = cloud_rows();
  const auto found = std::find_if(rows.begin(), rows.end(),
                                  [name](const CloudRow& row) { return row.name == name; });
  return found == rows.end() ? nullptr : &*found;
}

std::string aws_regions(const CloudEnvironment& environment) {
  for (const char* name : {"AWS_REGION", "AWS_DEFAULT_REGION"}) {
    const std::string regions = variable(environment, name);
    if (!regions.empty()) return regions;
  }
  return "us-east-1";
}

Result<CloudAccess> cloud_access(const CloudRow& row, const CloudEnvironment& environment) {
  CloudAccess access;
  access.key = Secret(variable(environment, row.key_variable));
  if (!row.key_id_variable.empty()) {
    access.key_id = variable(environment, row.key_id_variable);
    access.session_token = Secret(variable(environment, "AWS_SESSION_TOKEN"));
    access.regions = aws_regions(environment);
    if (access.key_id.empty()) access.key = Secret();
  }
  const std::string named = variable(environment, row.endpoint_variable);
  access.endpoint = named.empty() ? std::string(row.endpoint) : named;
  while (access.endpoint.ends_with('/')) access.endpoint.pop_back();
  const bool safe = access.endpoint.empty() || access.endpoint.starts_with("https://") ||
                    is_this_machine(access.endpoint);
  if (safe) return access;
  return Error{ErrorKind::usage,
               std::string(row.endpoint_variable) + " is neither an https address nor this machine",
               "a key would travel in the clear"};
}

CloudVariables cloud_variables(const CloudRow& row, const CloudEnvironment& environment) {
  CloudVariables variables;
  std::vector<std::string_view> secret = {row.key_variable};
  std::vector<std::string_view> plain = {row.endpoint_variable};
  if (!row.key_id_variable.empty()) {
    secret.insert(secret.end(), {row.key_id_variable, "AWS_SESSION_TOKEN"});
    plain.insert(plain.end(), {"AWS_REGION", "AWS_DEFAULT_REGION"});
  }
  for (const std::string_view name : secret) {
    const std::string value = variable(environment, name);
    if (!value.empty()) variables.secrets[std::string(name)] = Secret(value);
  }
  for (const std::string_view name : plain) {
    const std::string value = variable(environment, name);
    if (!value.empty()) variables.plain[std::string(name)] = value;
  }
  return variables;
}

}  // namespace mayfly
