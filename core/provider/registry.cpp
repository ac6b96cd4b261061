#include "core/provider/registry.h"

#include <array>

#include "core/provider/local.h"

namespace mayfly {

using namespace std::chrono_literals;

namespace {

struct Row {
  std::string_view name;
  std::chrono::seconds destroying_takes;
  std::unique_ptr<Provider> (*make)(const ProviderSettings&, Clock&);
};

std::unique_ptr<Provider> make_local(const ProviderSettings& settings, Clock& clock) {
  return std::make_unique<LocalProvider>(
      LocalOptions{settings.state_dir, default_host_program(), settings.price}, clock);
}

constexpr std::array kRows = {Row{"local", 5s, make_local}};

}  // namespace

std::chrono::seconds destroying_takes(std::string_view provider) {
  for (const Row& row : kRows) {
    if (row.name == provider) return row.destroying_takes;
  }
  return 8min;  // reliability: the slowest of the large providers, rounded up
}

Result<std::unique_ptr<Provider>> make_provider(std::string_view name,
                                                const ProviderSettings& settings, Clock& clock) {
  for (const Row& row : kRows) {
    if (row.name == name) return row.make(settings, clock);
  }
  return Error{ErrorKind::unsupported, "there is no provider \"" + std::string(name) + "\"",
               "this version has: local"};
}

}  // namespace mayfly
