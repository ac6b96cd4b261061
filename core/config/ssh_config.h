#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/config/field.h"

namespace mayfly {

// How a rented machine is reached, where the provider's own word is not to be taken.
struct SshConfig {
  std::optional<std::string> user;
  std::optional<std::int64_t> port;
  std::optional<std::string> key;

  static constexpr void fields(auto&& field) {
    using Self = SshConfig;
    field("user", &Self::user,
          FieldDoc{.doc = "Who logs in; default: whom the provider names, else ubuntu; on "
                          "instance.host the user here."});
    field("port", &Self::port,
          FieldDoc{.doc = "Where; default: what the provider says, else 22.",
                   .at_least = 1,
                   .at_most = 65535});
    field("key", &Self::key,
          FieldDoc{.doc = "File with the private key for instance.host; default: those that ssh "
                          "finds. Rented machines get a key of their own.",
                   .flag = "--key-name",
                   .is_path = true});
  }
};
static_assert(field_count<SshConfig>() == member_count<SshConfig>());

}  // namespace mayfly
