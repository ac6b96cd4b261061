// The run's secrets over a reboot of its machine.
//
// They are pushed into memory, and a reboot empties that: the agent comes up again and could not
// upload what was trained. So each life that finds them there keeps a copy on the disk, 0600, where
// root alone reads it, as the destroy request with the provider's key does; a life that finds none
// takes the copy. It goes when the instance is to be destroyed. No encryption: what systemd-creds
// offers without a TPM is a key on the same disk.
#pragma once

#include <filesystem>
#include <string>

namespace mayfly {

// Where the copy is; "" where a folder stands for the machine (MAYFLY_ROOT), which no reboot
// survives.
std::filesystem::path kept_secrets_file();

// The file to read: `given`, of which a copy is made; or the copy, when `given` is not there or
// holds nothing. A copy that cannot be made is a line in the log: this boot can do without.
std::string secrets_of_this_boot(const std::string& given, const std::filesystem::path& kept);

void forget_secrets(const std::filesystem::path& kept);

}  // namespace mayfly
