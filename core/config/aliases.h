// The keys under which the guides' files know our fields: one table of old and new paths. Other
// names within the same section are in the fields' own descriptions (FieldDoc::alias).
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace mayfly {

struct Alias {
  std::string_view from;  // "experiment.epochs"; a trailing ".*" stands for any key
  std::string_view to;    // "train.epochs"
};

std::span<const Alias> aliases();

// The path under its present name; the same path if it has no other.
std::string canonical_path(std::string_view path);

}  // namespace mayfly
