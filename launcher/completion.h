// What a shell completes behind `launch`: verbs and flags.
#pragma once

#include <string>

#include "core/result.h"

namespace mayfly {

// A script that completes verbs and flags; shell is bash, zsh or fish. Error: usage.
Result<std::string> completion_script(const std::string& shell);

}  // namespace mayfly
