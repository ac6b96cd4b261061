// What of a checkpoint is published, frozen so that the trainer may delete the checkpoint
// meanwhile.
//
// Freezing makes hard links in agent/upload/<label>/: no bytes are copied, and the links keep the
// content alive. A frozen folder appears by rename, so that one cut short by a crash is made anew.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/config/hub_config.h"
#include "core/result.h"
#include "core/run/directory.h"
#include "core/store/store.h"

namespace mayfly {

// adapter_model.safetensors, adapter_config.json, README.md, tokenizer files and chat template:
// what a person needs to use the adapter. Not optimizer state, nor any name that is not on the
// list.
bool is_published(const std::string& file_name);

// The frozen files of `folder` (relative to the run directory) for `label`: of those that its
// manifest names, the ones that are to be published; those of an earlier call if they are there.
// With OptimizerState::all a checkpoint's are all that the manifest names and itself, which is what
// a run needs to go on from it on another machine; the result, `main`, is for people and never has
// more. Errors: not_found (neither is there, or nothing in it is to be published), corrupt (the
// folder is not whole), no_space, refused (a link in the place of a file: the trainer's user could
// have it point at what only the agent may read).
Result<std::vector<StoreUpload>> freeze_folder(const RunDirectory& run, const std::string& folder,
                                               const std::string& label,
                                               OptimizerState optimizer_state);
void remove_frozen(const RunDirectory& run, const std::string& label);

// SHA-256 of the lines "<sha256>  <path>\n", sorted by path: what `sha256sum` prints of them.
Result<std::string> list_sha256(const std::vector<StoreUpload>& files);

}  // namespace mayfly
