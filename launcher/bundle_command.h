// `launch bundle push OWNER/NAME`: puts the programs for rented machines on the user's hub, once,
// so that a machine fetches them by itself and no launch sends them over the laptop's line.
//
// A machine that starts holds no token, so the repository must be one that everybody can read: what
// was uploaded is fetched again without a token, and compared, before the address is called good.
#pragma once

#include "core/clock.h"
#include "core/exit_code.h"
#include "core/hub_names.h"
#include "core/result.h"
#include "core/store/hub_session.h"
#include "launcher/bundle.h"
#include "launcher/command_line.h"
#include "launcher/desk.h"

namespace mayfly {

// Prints the two keys for a run file, agent.url and agent.sha256. Errors: usage; those of
// make_bundle and push_bundle.
Result<ExitCode> bundle_command(const CommandLine& line, Desk& desk);

// The address of `bundle` in the repository, at a commit that cannot change. Sent once: what the
// hub has is not sent again. Errors: unauthorized (not readable without a token), corrupt (what
// comes back is something else), those of Store.
Result<std::string> push_bundle(const Bundle& bundle, const HubRepo& repo, HttpClient& http,
                                HubSession& hub);

}  // namespace mayfly
