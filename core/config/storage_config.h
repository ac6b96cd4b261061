#pragma once

#include <optional>
#include <string>

#include "core/config/field.h"

namespace mayfly {

// A bucket that takes the work when the hub does not. The keys come from AWS_ACCESS_KEY_ID and
// AWS_SECRET_ACCESS_KEY (AWS_SESSION_TOKEN), never from a file of ours.
struct StorageConfig {
  std::optional<std::string> s3_bucket;
  std::string s3_prefix = "models/";
  std::optional<std::string> s3_region;
  std::optional<std::string> s3_endpoint;

  static constexpr void fields(auto&& field) {
    using Self = StorageConfig;
    field("s3_bucket", &Self::s3_bucket,
          FieldDoc{.doc = "Bucket that takes what the hub does not: <prefix><run>/<branch>/.",
                   .flag = "--bucket"});
    field("s3_prefix", &Self::s3_prefix,
          FieldDoc{.doc = "What all keys in the bucket begin with."});
    field("s3_region", &Self::s3_region,
          FieldDoc{.doc = "The bucket's region; default: AWS_REGION, AWS_DEFAULT_REGION."});
    field("s3_endpoint", &Self::s3_endpoint,
          FieldDoc{.doc = "Address of another server that speaks S3; default: AWS's own."});
  }
};
static_assert(field_count<StorageConfig>() == member_count<StorageConfig>());

}  // namespace mayfly
