// Where a person's files of ours are, by the XDG base directory specification. Nothing is created
// here. Reads the environment; a relative value in it is ignored, as the specification says.
#pragma once

#include <filesystem>

namespace mayfly {

// $MAYFLY_STATE_DIR, else ${XDG_STATE_HOME:-~/.local/state}/mayfly: which runs this machine
// started, and the instances of the local provider.
std::filesystem::path state_folder();
// ${XDG_CACHE_HOME:-~/.cache}/mayfly: what can be fetched or made again.
std::filesystem::path cache_folder();
// ${XDG_DATA_HOME:-~/.local/share}/mayfly: what must be kept, such as the stand-in hub's content.
std::filesystem::path data_folder();
// ${XDG_CONFIG_HOME:-~/.config}/mayfly: the profile.
std::filesystem::path config_folder();

}  // namespace mayfly
