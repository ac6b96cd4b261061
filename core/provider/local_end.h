// The back office of the local provider: ends an instance from outside of it.
#pragma once

#include <filesystem>

#include "core/clock.h"
#include "core/result.h"

namespace mayfly {

// Marks the instance `terminating`. Error: the record cannot be written; ending goes on regardless.
Status mark_terminating(const std::filesystem::path& folder);

// Grants the processes of the instance a moment, kills them all, again and again until /proc shows
// none, removes the secrets, and marks the instance `gone`. One at a time works on an instance; a
// second returns at once. Returns only when it is done: a process that does not die (stuck in a
// driver) keeps it `terminating`.
Status end_local_instance(const std::filesystem::path& folder, std::chrono::milliseconds grace,
                          Clock& clock);

}  // namespace mayfly
