#pragma once

#include <chrono>
#include <optional>

#include "core/config/field.h"
#include "core/usd.h"

namespace mayfly {

// The machine that is rented.
struct InstanceConfig {
  std::optional<Usd> price;
  std::chrono::seconds boot_timeout{900};

  static constexpr void fields(auto&& field) {
    using Self = InstanceConfig;
    field("price", &Self::price,
          FieldDoc{.doc = "Price of a machine of one's own, so that spend limits work there too.",
                   .unit = "USD per instance-hour",
                   .flag = "--price",
                   .at_least = 0});
    field("boot_timeout", &Self::boot_timeout,
          FieldDoc{.doc = "Destroy an instance whose agent has not reported after this long.",
                   .at_least = 5});
  }
};
static_assert(field_count<InstanceConfig>() == member_count<InstanceConfig>());

}  // namespace mayfly
