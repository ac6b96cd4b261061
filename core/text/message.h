// One turn of a conversation.
#pragma once

#include <string>

namespace mayfly {

struct Message {
  std::string role;  // "system", "user", "assistant", "tool"
  std::string content;
};

}  // namespace mayfly
