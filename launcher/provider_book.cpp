#include "launcher/provider_book.h"

#include "core/provider/cloud_keys.h"
#include "launcher/cloud_access.h"

namespace mayfly {

Result<Provider*> ProviderBook::of(const std::string& name) {
  if (const auto found = open_.find(name); found != open_.end()) return found->second.get();
  auto provider = provider_of(desk_, name);
  if (!provider) return provider.error();
  return (open_[name] = std::move(*provider)).get();
}

std::vector<std::string> ProviderBook::at_hand() {
  std::vector<std::string> names = {"local"};
  const Result<Environment> environment = environment_to_look(desk_.state, "");
  if (!environment) return names;
  for (const CloudRow& row : cloud_rows()) {
    const Result<CloudAccess> access = cloud_access(row, *environment);
    if (access && !access->key.empty()) names.emplace_back(row.name);
  }
  return names;
}

}  // namespace mayfly
