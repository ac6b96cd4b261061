#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/config/field.h"
#include "core/usd.h"

namespace mayfly {

// The machine that is rented. What is not given is the provider's default (launcher/rental_wish.h).
// An offer that does not say how it is about a wish does not fulfil it.
struct InstanceConfig {
  std::optional<std::string> host;
  std::optional<Usd> price;
  std::vector<std::string> gpu;
  std::optional<std::int64_t> num_gpus;
  std::optional<std::string> type;
  std::optional<std::string> cloud;
  std::optional<std::string> region;
  std::optional<std::string> zone;
  std::optional<bool> spot;
  std::optional<Usd> max_price;
  std::optional<std::string> country;
  std::map<std::string, std::string> where;
  std::optional<double> min_upload_mbps;
  std::optional<double> min_download_mbps;
  std::optional<bool> nvlink;
  std::optional<std::int64_t> disk_gb;
  std::int64_t retry_offers = 3;
  std::chrono::seconds boot_timeout{900};

  static constexpr void fields(auto&& field) {
    using Self = InstanceConfig;
    field(
        "host", &Self::host,
        FieldDoc{.doc = "A machine that runs already, reached by SSH: host, or user@host:port. The "
                        "run is set up there; the machine itself is never ended.",
                 .flag = "--host"});
    field("price", &Self::price,
          FieldDoc{.doc = "Price of a machine of one's own, so that spend limits work there too.",
                   .unit = "USD per instance-hour",
                   .flag = "--price",
                   .at_least = 0});
    field("gpu", &Self::gpu,
          FieldDoc{.doc = "Any of these GPUs, such as H100,A100; default: shadeform B200, lium and "
                          "lambda A100.",
                   .flag = "--gpu"});
    field("num_gpus", &Self::num_gpus,
          FieldDoc{.doc = "GPUs of the machine; default: as many as train.devices.",
                   .flag = "--num-gpus",
                   .at_least = 1,
                   .at_most = 1024});
    field("type", &Self::type,
          FieldDoc{.doc = "The provider's name of the kind of machine; default: aws g4dn.xlarge.",
                   .flag = "--instance-type"});
    field("cloud", &Self::cloud,
          FieldDoc{.doc = "Whose machines, of those that a broker rents out.", .flag = "--cloud"});
    field(
        "region", &Self::region,
        FieldDoc{.doc = "Only there; the beginning of a name will do. Default at aws: AWS_REGION, "
                        "else us-east-1.",
                 .flag = "--region"});
    field("zone", &Self::zone,
          FieldDoc{.doc = "Only in this part of a region, such as us-east-1b: spot offers of aws "
                          "say theirs.",
                   .flag = "--zone"});
    field("spot", &Self::spot,
          FieldDoc{.doc = "Only what is cheaper because it may be taken away; false: only what may "
                          "not. Default: aws true, else false.",
                   .flag = "--spot"});
    field("max_price", &Self::max_price,
          FieldDoc{.doc = "Not above this price.",
                   .unit = "USD per instance-hour",
                   .flag = "--max-price",
                   .at_least = 0});
    field("country", &Self::country, FieldDoc{.doc = "Only there.", .flag = "--country"});
    field("where", &Self::where,
          FieldDoc{.doc = "What else the provider tells of a machine's place: city."});
    field("min_upload_mbps", &Self::min_upload_mbps,
          FieldDoc{.doc = "At least this fast out.",
                   .unit = "Mbit/s",
                   .flag = "--min-upload",
                   .at_least = 0});
    field("min_download_mbps", &Self::min_download_mbps,
          FieldDoc{.doc = "At least this fast in.",
                   .unit = "Mbit/s",
                   .flag = "--min-download",
                   .at_least = 0});
    field("nvlink", &Self::nvlink,
          FieldDoc{.doc = "Only with NVLink between the GPUs; false: only without.",
                   .flag = "--nvlink"});
    field("disk_gb", &Self::disk_gb,
          FieldDoc{.doc = "Only with so much disk; at aws the machine's disk is made so large. "
                          "Default there: 150, and more where the run needs it.",
                   .unit = "GB",
                   .flag = "--disk-gb",
                   .at_least = 1,
                   .at_most = 16384});
    field("retry_offers", &Self::retry_offers,
          FieldDoc{.doc = "So many further offers are tried when the chosen machine is taken.",
                   .at_least = 0,
                   .at_most = 50});
    field("boot_timeout", &Self::boot_timeout,
          FieldDoc{.doc = "Destroy an instance whose agent has not reported after this long.",
                   .at_least = 5});
  }
};
static_assert(field_count<InstanceConfig>() == member_count<InstanceConfig>());

}  // namespace mayfly
