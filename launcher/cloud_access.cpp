#include "launcher/cloud_access.h"

#include <thread>

#include "core/atomic_file.h"
#include "core/provider/cloud_keys.h"
#include "core/provider/registry.h"

namespace mayfly {

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
