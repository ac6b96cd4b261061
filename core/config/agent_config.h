#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/config/field.h"

namespace mayfly {

// The agent on the instance.
struct AgentConfig {
  std::int64_t http_port = 0;
  std::optional<std::string> url;
  std::optional<std::string> sha256;

  static constexpr void fields(auto&& field) {
    using Self = AgentConfig;
    field("http_port", &Self::http_port,
          FieldDoc{.doc = "Port of 127.0.0.1 for dashboard, /status and /metrics; 0: any free one.",
                   .at_least = 0,
                   .at_most = 65535});
    field(
        "url", &Self::url,
        FieldDoc{.doc = "Where a rented machine gets the bundle of agent and train; default: over "
                        "SSH from this machine."});
    field("sha256", &Self::sha256,
          FieldDoc{.doc = "Of the file at agent.url; the machine takes no other."});
  }
};
static_assert(field_count<AgentConfig>() == member_count<AgentConfig>());

}  // namespace mayfly
