#include "launcher/cloud_access.h"

#include <algorithm>
#include <thread>

#include "core/atomic_file.h"
#include "core/provider/cloud_keys.h"
#include "core/provider/registry.h"
#include "launcher/aws_profile.h"

namespace mayfly {

namespace {

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

Result<Environment> environment_of(const std::string& cloud) {
  Result<Environment> environment = environment_with_dotenv();
  if (!environment) return environment;
  const auto profile = environment->find("AWS_PROFILE");
  const bool is_named = profile != environment->end() && !profile->second.empty();
  if (cloud != "aws" && !is_named) return environment;
  return with_aws_profile(std::move(*environment));
}

// "us-east-1", and not the beginning of it.
bool is_whole_region(const std::string& region) {
  return std::count(region.begin(), region.end(), '-') >= 2 && region.back() >= '0' &&
         region.back() <= '9';
}

}  // namespace

Result<Environment> environment_to_rent(const std::string& cloud, const std::string& region) {
  Result<Environment> environment = environment_of(cloud);
  if (environment && is_whole_region(region)) (*environment)["AWS_REGION"] = region;
  return environment;
}

Result<Environment> environment_to_look(const StateFile& state, const std::string& cloud) {
  const Result<std::vector<KnownRun>> runs = state.runs();
  if (!runs) return runs.error();
  const bool is_at_aws = std::any_of(runs->begin(), runs->end(), [](const KnownRun& run) {
    return run.provider == "aws" && may_be_billing(run);
  });
  Result<Environment> environment = environment_of(is_at_aws ? "aws" : cloud);
  if (!environment) return environment;
  std::string regions = aws_regions(*environment);
  for (const KnownRun& run : *runs) regions += "," + run.regions;
  (*environment)["AWS_REGION"] = regions;
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
    const Result<CloudAccess> access = cloud_access(row, environment);
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

Result<std::unique_ptr<Provider>> cloud_named(const Environment& environment,
                                              const std::string& name, Clock& clock) {
  auto clouds = clouds_of(environment, name, clock);
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
