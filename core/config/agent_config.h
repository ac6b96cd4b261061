#pragma once

#include <cstdint>

#include "core/config/field.h"

namespace mayfly {

// The agent on the instance.
struct AgentConfig {
  std::int64_t http_port = 0;

  static constexpr void fields(auto&& field) {
    using Self = AgentConfig;
    field("http_port", &Self::http_port,
          FieldDoc{.doc = "Port of 127.0.0.1 for dashboard, /status and /metrics; 0: any free one.",
                   .at_least = 0,
                   .at_most = 65535});
  }
};
static_assert(field_count<AgentConfig>() == member_count<AgentConfig>());

}  // namespace mayfly
