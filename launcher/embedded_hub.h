// The stand-in hub on this machine: where it is, whether it answers, starting it.
//
// One for a user, shared by all runs, as a detached process that ends by itself when nobody has
// asked it anything for hours. Its content stays in the data folder's `hub`; its token is made
// once, in a file that only the user can read.
#pragma once

#include <filesystem>
#include <string>

#include "core/clock.h"
#include "core/result.h"
#include "core/secret.h"

namespace mayfly {

struct EmbeddedHub {
  std::string endpoint;
  Secret token;
};

// Where it answers, answered last, or will answer.
std::string embedded_hub_endpoint();

// Whether something accepts connections there now.
bool answers(const std::string& endpoint);

// Its token; empty when none was made yet.
Secret embedded_hub_token();

// Its folder; `launch doctor` and the plan name it.
std::filesystem::path embedded_hub_folder();

// The hub that runs, or a new one, started from `programs`/localhub. On a port of its own choice
// when the usual one is taken. Errors: not_found (no such program), failed (it did not come up).
Result<EmbeddedHub> ensure_embedded_hub(const std::filesystem::path& programs, Clock& clock);

}  // namespace mayfly
