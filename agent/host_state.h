// What the machine looked like when a run failed, as text for people: memory, disks, load, GPUs,
// the kernel's last words.
//
// Whatever cannot be read is said so in its place; nothing here fails, and nothing waits: a command
// that does not answer (a GPU driver that hangs) is left behind after its time.
#pragma once

#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

namespace mayfly {

// `folders`: whose disks are looked at. Takes at most `patience` for nvidia-smi.
std::string host_state(const std::vector<std::filesystem::path>& folders,
                       std::chrono::milliseconds patience);

// Standard output and error of a program, at most 64 KB of it; "" with a reason in `note` if it is
// not there, fails, or has not ended within `limit` (it is killed then, and not waited for).
std::string output_of(const std::vector<std::string>& argv, std::chrono::milliseconds limit,
                      std::string& note);

}  // namespace mayfly
