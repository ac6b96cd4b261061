// Takes secrets out of text before anybody else reads it: logs that are uploaded, error reports.
//
// Masked: tokens by their known beginnings (HuggingFace, OpenAI, AWS, GitHub, Slack), what follows
// "Bearer" and "Basic", private keys in PEM form, the value of anything named like a secret
// (api_key=..., "password": "..."), and the very values of a run's own secrets, plain or
// percent-encoded. A second net behind Secret: what looks like nothing is not found.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/secret.h"

namespace mayfly {

// The text with each secret replaced by ***. `own`: values to be found whatever they look like;
// those shorter than six characters are left out, for they would be found everywhere.
std::string scrub_secrets(std::string_view text, const std::vector<Secret>& own = {});

}  // namespace mayfly
