#pragma once

#include <chrono>
#include <optional>

#include "core/config/field.h"
#include "core/usd.h"

namespace mayfly {

enum class AtEnd { destroy, keep };
template <>
struct EnumNames<AtEnd> {
  static constexpr std::array values = {std::pair{AtEnd::destroy, std::string_view("destroy")},
                                        std::pair{AtEnd::keep, std::string_view("keep")}};
};

// What a run may cost, and when it counts as stuck. Whichever limit is met first ends the run.
struct LimitsConfig {
  Usd spend_limit = dollars(150);
  std::optional<double> ttl_hours;
  double idle_minutes = 30.0;
  double stall_minutes = 10.0;
  std::chrono::seconds reserve{300};
  std::optional<Usd> rescue_budget;
  std::chrono::seconds upload_timeout{1200};
  double failure_grace_minutes = 0.0;
  AtEnd on_complete = AtEnd::destroy;
  AtEnd on_failure = AtEnd::destroy;
  std::optional<Usd> max_cost_per_launch;

  static constexpr void fields(auto&& field) {
    using Self = LimitsConfig;
    field("spend_limit", &Self::spend_limit,
          FieldDoc{.doc = "Destroy the instance before the run's whole bill passes this.",
                   .unit = "USD",
                   .flag = "--spend-limit",
                   .at_least = 0.001});
    field("ttl_hours", &Self::ttl_hours,
          FieldDoc{.doc = "Destroy the instance this long after it was created.",
                   .unit = "hours",
                   .flag = "--ttl",
                   .alias = "ttl",
                   .at_least = 0.001});
    field("idle_minutes", &Self::idle_minutes,
          FieldDoc{.doc = "Destroy the instance when nothing progressed for this long; 0: never.",
                   .unit = "minutes",
                   .flag = "--idle",
                   .at_least = 0.0});
    field("stall_minutes", &Self::stall_minutes,
          FieldDoc{.doc = "Restart a trainer that made no progress for this long, once; 0: never.",
                   .unit = "minutes",
                   .at_least = 0.0});
    field("reserve", &Self::reserve,
          FieldDoc{.doc = "Stop training this long before a limit, to save and upload.",
                   .at_least = 0});
    field(
        "rescue_budget", &Self::rescue_budget,
        FieldDoc{.doc = "Spend up to this of the limit on an adapter that the reserve did not get "
                        "uploaded; by default the least of $5, 5 % of the limit and 15 minutes.",
                 .unit = "USD",
                 .at_least = 0});
    field("upload_timeout", &Self::upload_timeout,
          FieldDoc{.doc = "Longest wait for the final upload before the instance goes anyway.",
                   .at_least = 1});
    field("failure_grace_minutes", &Self::failure_grace_minutes,
          FieldDoc{.doc = "Keep a failed instance this long for a look, before it is destroyed.",
                   .unit = "minutes",
                   .at_least = 0.0});
    field("on_complete", &Self::on_complete,
          FieldDoc{.doc = "What happens to the instance when training is done and uploaded."});
    field("on_failure", &Self::on_failure,
          FieldDoc{.doc = "What happens to the instance when training failed."});
    field("max_cost_per_launch", &Self::max_cost_per_launch,
          FieldDoc{.doc = "Refuse to start a run whose estimate is above this.",
                   .unit = "USD",
                   .at_least = 0});
  }
};
static_assert(field_count<LimitsConfig>() == member_count<LimitsConfig>());

}  // namespace mayfly
