// The providers that a command deals with, each opened when it is first asked for.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/provider/provider.h"
#include "core/result.h"
#include "launcher/desk.h"

namespace mayfly {

class ProviderBook {
 public:
  // The desk outlives it.
  explicit ProviderBook(const Desk& desk) : desk_(desk) {}

  // Error: unauthorized (there is no key for it), unsupported, usage.
  Result<Provider*> of(const std::string& name);
  // This machine, and every cloud that there is a key for. Those that cannot be opened are left
  // out.
  std::vector<std::string> at_hand();

 private:
  const Desk& desk_;
  std::map<std::string, std::unique_ptr<Provider>> open_;
};

}  // namespace mayfly
