// What an instance must be able to do before training is paid for. Each looks once and reports;
// what follows from a failure, agent/decision_arming.cpp decides.
//
// Kinds of errors: refused, guard, no_space (there is no use in trying again); unreachable (there
// may be).
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

#include "agent/state.h"

namespace mayfly {

// "destroy": whether the provider answers us about this very instance, with the credentials that
// would end it. An instance that is not listed yet is unreachable.
SelfTest test_destroy_right(Provider& provider, const InstanceId& id, const std::string& run_id);

// "disk": whether the run directory has room for three checkpoints of that size (agent/
// checkpoint_bytes.h), where it is known, and for what the agent itself writes. That the trainer's
// fit, the trainer proves too, by writing one of full size before the first step.
SelfTest test_disk(const std::filesystem::path& run_dir, std::optional<std::int64_t> checkpoint);

// "fuse": whether the start-up has armed the fuse that ends this instance without us.
SelfTest test_fuse();

}  // namespace mayfly
