#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/config/field.h"

namespace mayfly {

// What the run is called and which random seeds it uses.
struct RunSection {
  std::optional<std::string> name;
  std::vector<std::int64_t> seeds = {42};
  std::optional<std::string> group;

  static constexpr void fields(auto&& field) {
    using Self = RunSection;
    field("name", &Self::name,
          FieldDoc{.doc = "Name of the run; default: <model>-<dataset>-<size>-run<N>.",
                   .flag = "--run-name"});
    field("seeds", &Self::seeds,
          FieldDoc{.doc = "Seeds of data order, adapter initialisation and dropout; one run each.",
                   .flag = "--seeds",
                   .at_least = 0});
    field("group", &Self::group,
          FieldDoc{.doc = "What the runs of one sweep or fleet have in common; `launch apply` sets "
                          "it to the fleet's name."});
  }
};
static_assert(field_count<RunSection>() == member_count<RunSection>());

}  // namespace mayfly
