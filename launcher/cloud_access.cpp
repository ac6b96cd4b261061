#include "launcher/cloud_access.h"

#include <thread>

#include "core/atomic_file.h"
#include "core/provider/registry.h"
#include "core/url.h"

namespace mayfly {

namespace {

std::string variable(const Environment& environment, const std::string& name) {
  const auto found = environment.find(name);
  return found == environment.end() ? std::string() : found->second;
}

bool is_private_enough(const std::string& endpoint) {
  const std::string origin = origin_of(endpoint);
  return origin.starts_with("https://") || origin.starts_with("http://127.0.0.1:") ||
         origin.starts_with("http://localhost:") || origin.starts_with("http://[::1]:");
}

Result<CloudAccess> access_of(const CloudRow& row, const Environment& environment) {
  CloudAccess access;
  access.key = Secret(variable(environment, std::string(row.key_variable)));
  if (!row.key_id_variable.empty()) {
    access.key_id = variable(environment, std::string(row.key_id_variable));
    access.session_token = Secret(variable(environment, "AWS_SESSION_TOKEN"));
    access.regions = variable(environment, "AWS_REGION");
    if (access.regions.empty()) access.regions = variable(environment, "AWS_DEFAULT_REGION");
    if (access.key_id.empty()) access.key = Secret();
  }
  const std::string named = variable(environment, std::string(row.endpoint_variable));
  access.endpoint = named.empty() ? std::string(row.endpoint) : named;
  while (access.endpoint.ends_with('/')) access.endpoint.pop_back();
  if (access.endpoint.empty() || is_private_enough(access.endpoint)) return access;
  return Error{ErrorKind::usage,
               std::string(row.endpoint_variable) + " is neither an https address nor this machine",
               "a key would travel in the clear"};
}

}  // namespace

Result<Environment> environment_with_dotenv() {
  Environment environment = current_environment();
  const Result<std::string> text = read_file(".env");
  if (!text) {
    if (text.error().kind == ErrorKind::not_found) return environment;
    return text.error();
  }
  const Result<Environment> more = parse_dotenv(*text, ".env");
  if (!more) return more.error();
  environment.insert(more->begin(), more->end());
  return environment;
}

Result<std::vector<std::unique_ptr<Provider>>> clouds_of(const Environment& environment,
                                                         const std::string& name, Clock& clock) {
  std::vector<std::unique_ptr<Provider>> clouds;
  std::string variables;
  bool known = name.empty();
  for (const CloudRow& row : cloud_rows()) {
    if (!name.empty() && name != row.name) continue;
    known = true;
    variables += (variables.empty() ? "" : ", ") + std::string(row.key_variable);
    const Result<CloudAccess> access = access_of(row, environment);
    if (!access) return access.error();
    if (access->key.empty()) continue;
    ProviderSettings settings;
    settings.access = *access;
    auto provider = make_provider(row.name, settings, clock);
    if (!provider) return provider.error();
    clouds.push_back(std::move(*provider));
  }
  if (!known) {
    return Error{ErrorKind::unsupported, "there is no cloud \"" + name + "\" to ask",
                 "this version asks: " + cloud_names()};
  }
  if (clouds.empty()) {
    return Error{ErrorKind::unauthorized, "there is no key for a cloud",
                 "set one of: " + variables};
  }
  return clouds;
}

Result<std::unique_ptr<Provider>> cloud_named(const std::string& name, Clock& clock) {
  const Result<Environment> environment = environment_with_dotenv();
  if (!environment) return environment.error();
  auto clouds = clouds_of(*environment, name, clock);
  if (!clouds) return clouds.error();
  return std::move(clouds->front());
}

CloudOffers ask_for_offers(const std::vector<std::unique_ptr<Provider>>& clouds) {
  std::vector<Result<std::vector<Offer>>> answers(clouds.size(),
                                                  Error{ErrorKind::internal, "not asked"});
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < clouds.size(); ++i) {
    threads.emplace_back([&, i] { answers[i] = clouds[i]->offers(); });
  }
  for (std::thread& thread : threads) thread.join();
  CloudOffers all;
  for (std::size_t i = 0; i < clouds.size(); ++i) {
    if (!answers[i]) {
      all.errors.push_back(while_doing(clouds[i]->name(), answers[i].error()));
      continue;
    }
    all.offers.insert(all.offers.end(), std::make_move_iterator(answers[i]->begin()),
                      std::make_move_iterator(answers[i]->end()));
  }
  return all;
}

}  // namespace mayfly
