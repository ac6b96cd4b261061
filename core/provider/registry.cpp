#include "core/provider/registry.h"

#include <array>
#include <cstdlib>

#include "core/http/curl_client.h"
#include "core/provider/attached.h"
#include "core/provider/ec2.h"
#include "core/provider/lambda.h"
#include "core/provider/lium.h"
#include "core/provider/local.h"
#include "core/provider/shadeform.h"

namespace mayfly {

using namespace std::chrono_literals;

namespace {

constexpr std::chrono::seconds kSlowestCloud = 8min;  // reliability: the slowest seen, rounded up

struct Row {
  std::string_view name;
  std::chrono::seconds destroying_takes;
  std::unique_ptr<Provider> (*make)(const ProviderSettings&, Clock&);
};

std::unique_ptr<Provider> make_local(const ProviderSettings& settings, Clock& clock) {
  return std::make_unique<LocalProvider>(
      LocalOptions{settings.state_dir, default_host_program(), settings.price}, clock);
}

// Of the run that this process belongs to. A laptop has others (launcher/attached_host.h).
std::unique_ptr<Provider> make_attached(const ProviderSettings& settings, Clock& clock) {
  const auto variable = [](const char* name) {
    const char* const value = std::getenv(name);
    return std::string(value == nullptr ? "" : value);
  };
  const AttachedPlace here =
      attached_here(variable("MAYFLY_INSTANCE_ID"), variable("MAYFLY_ROOT"), settings.price);
  return std::make_unique<AttachedProvider>(std::vector{here}, clock);
}

template <class Cloud>
std::unique_ptr<Provider> make_cloud(const ProviderSettings& settings, Clock& clock) {
  return std::make_unique<Cloud>(std::make_unique<CurlHttpClient>(curl_options_from_environment()),
                                 clock, settings.access);
}

constexpr std::array kRows = {
    Row{"local", 5s, make_local},
    Row{"attached", 10s, make_attached},
    Row{"shadeform", kSlowestCloud, make_cloud<ShadeformProvider>},
    Row{"lambda", kSlowestCloud, make_cloud<LambdaProvider>},
    Row{"lium", kSlowestCloud, make_cloud<LiumProvider>},
    Row{"aws", kSlowestCloud, make_cloud<Ec2Provider>},
};

constexpr std::array kClouds = {
    CloudRow{"shadeform", "https://api.shadeform.ai/v1", "SHADEFORM_API_KEY", "SHADEFORM_ENDPOINT"},
    CloudRow{"lambda", "https://cloud.lambda.ai/api/v1", "LAMBDA_API_KEY", "LAMBDA_ENDPOINT"},
    CloudRow{"lium", "https://lium.io/api", "LIUM_API_KEY", "LIUM_ENDPOINT"},
    CloudRow{"aws", "https://ec2.{region}.amazonaws.com", "AWS_SECRET_ACCESS_KEY",
             "AWS_ENDPOINT_URL_EC2", "AWS_ACCESS_KEY_ID"},
};

}  // namespace

std::span<const CloudRow> cloud_rows() {
  return kClouds;
}

std::string cloud_names() {
  std::string names;
  for (const CloudRow& row : kClouds) {
    names += (names.empty() ? "" : ", ") + std::string(row.name);
  }
  return names;
}

std::chrono::seconds destroying_takes(std::string_view provider) {
  for (const Row& row : kRows) {
    if (row.name == provider) return row.destroying_takes;
  }
  return kSlowestCloud;
}

Result<std::unique_ptr<Provider>> make_provider(std::string_view name,
                                                const ProviderSettings& settings, Clock& clock) {
  for (const Row& row : kRows) {
    if (row.name == name) return row.make(settings, clock);
  }
  return Error{ErrorKind::unsupported, "there is no provider \"" + std::string(name) + "\"",
               "this version has: local, attached, " + cloud_names()};
}

}  // namespace mayfly
