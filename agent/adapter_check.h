// Whether an adapter is worth anything: that it can be read and that its numbers are finite.
//
// A broken adapter is a lost one, so it is uploaded all the same, and flagged: in the commit's
// words, in status and receipt. Read in blocks of 1 MB by plain reads; about 2 GB/s a core.
#pragma once

#include <filesystem>
#include <string>

#include "core/store/store.h"

namespace mayfly {

// What is wrong with the file of weights among `files`, in words for people: "not finite: 3 numbers
// in 2 tensors, first in ...", or that it is no safetensors file; "" if nothing is, or if there is
// no such file among them.
std::string adapter_flag(const std::vector<StoreUpload>& files);

}  // namespace mayfly
