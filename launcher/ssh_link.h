// SSH to a rented machine: by the system's ssh(1), with our key, our list of host keys and no
// other, no question asked, nothing forwarded, no settings of the user's. To an attached host the
// same with the user's keys.
//
//   <state>/ssh/id_ed25519        this laptop's key for machines, made at the first use
//   <state>/known_hosts/<run id>  the machine's host key: written before the machine exists, where
//   it
//                                 gets its key from us; else by the first contact (Lium), and then
//                                 never another
//   <state>/known_hosts/host-...  an attached host's: as the user's own list has it, else by the
//                                 first contact
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "core/command.h"
#include "core/provider/provider.h"
#include "core/result.h"

namespace mayfly {

struct SshKeyPair {
  std::string private_text;  // OpenSSH's format
  std::string public_line;   // "ssh-ed25519 AAAA..."
};
// A new one, by ssh-keygen(1); what it writes on the way is removed. Errors: not_found (no such
// program), refused.
Result<SshKeyPair> make_ssh_key(const std::filesystem::path& scratch);

// The public line of this laptop's key; the key is made when there is none.
Result<std::string> laptop_ssh_key(const std::filesystem::path& state_dir);

// How machines of a run are called in its list of host keys, whatever their address.
std::string host_alias(const std::string& run_id);
Status pin_host_key(const std::filesystem::path& state_dir, const std::string& run_id,
                    const std::string& public_line);

// A machine that runs already.
struct SshHost {
  std::string address;  // user@host:port
  std::string key;      // file of a private key; "": the user's own, and what his agent has
};

class SshLink {
 public:
  // `address`: user@host or user@host:port. Error: invalid_config (one that ssh could take for an
  // option, or a senseless port).
  static Result<SshLink> to(const std::string& address, const std::string& run_id,
                            const std::filesystem::path& state_dir);

  // For a run on an attached host, whose commands find its folder as MAYFLY_ROOT; `run_id` "": for
  // the host as it is. Errors: the same, and refused (the pinned key cannot be written).
  static Result<SshLink> to_host(const SshHost& host, const std::string& run_id,
                                 const std::filesystem::path& state_dir);

  // Runs `command` by the login shell there. Errors: unreachable (ssh's own failure, its words in
  // the message), those of run_to_end. What the command's exit code means is the caller's business.
  Result<CommandAnswer> run(const std::string& command, std::string_view input,
                            std::chrono::milliseconds limit) const;
  // The machine's side of the handover, cloud-init/receive.sh, as root.
  Result<CommandAnswer> receive(const std::string& words, std::string_view input,
                                std::chrono::milliseconds limit) const;
  // The argument vector up to the host.
  const std::vector<std::string>& words() const {
    return words_;
  }

 private:
  explicit SshLink(std::vector<std::string> words) : words_(std::move(words)) {}
  std::vector<std::string> words_;
  std::string before_;  // every command
  bool uses_agent_ = false;
};

// "user@host:port" of a machine that runs; "" while it has no address.
std::string ssh_address(const Instance& instance);

}  // namespace mayfly
