// Walks every value of a RunConfig, sections opened: what readers and writers loop over.
#pragma once

#include <string_view>

#include "core/config/field.h"
#include "core/config/run_config.h"

namespace mayfly {

// Calls visit(section, key, doc, get) for each; `section` is "" at the top level, and get(config)
// is a reference to the member, constant if `config` is.
template <class Visit>
void for_each_field(Visit&& visit) {
  RunConfig::fields([&](std::string_view name, auto member, const FieldDoc& doc) {
    using Member = std::remove_cvref_t<decltype(std::declval<RunConfig&>().*member)>;
    if constexpr (Config<Member>) {
      Member::fields([&](std::string_view key, auto inner, const FieldDoc& inner_doc) {
        visit(
            name, key, inner_doc, [=](auto& config) -> auto& { return config.*member.*inner; });
      });
    } else {
      visit(
          std::string_view(), name, doc, [=](auto& config) -> auto& { return config.*member; });
    }
  });
}

// "train.epochs"; at the top level "phase".
inline std::string field_path(std::string_view section, std::string_view key) {
  return section.empty() ? std::string(key) : std::string(section) + "." + std::string(key);
}

}  // namespace mayfly
