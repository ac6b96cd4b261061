#include "launcher/ssh_link.h"

#include <charconv>
#include <cstdlib>

#include "core/atomic_file.h"

namespace mayfly {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

namespace {

// What ssh and ssh-keygen may see of our environment: no token has a name of this list.
std::vector<std::string> plain_environment() {
  std::vector<std::string> all;
  for (const char* name : {"PATH", "HOME", "USER", "LANG", "LC_ALL", "TMPDIR"}) {
    if (const char* value = std::getenv(name)) all.push_back(std::string(name) + "=" + value);
  }
  return all;
}

std::string first_line(const std::string& text) {
  return text.substr(0, text.find('\n'));
}

// The last line that says something; ssh warns before it fails.
std::string last_words(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
  const auto start = text.rfind('\n');
  return start == std::string::npos ? text : text.substr(start + 1);
}

Status make_private_folder(const fs::path& folder) {
  if (const Status made = make_folders(folder); !made) return made;
  std::error_code code;
  fs::permissions(folder, fs::perms::owner_all, code);
  if (code) return Error{ErrorKind::refused, folder.string() + ": " + code.message()};
  return Unit{};
}

Status keygen(const fs::path& file) {
  const Command command{
      .argv = {"ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "mayfly", "-f", file.string()},
      .environment = plain_environment(),
      .limit = 20s};
  const Result<CommandAnswer> made = run_to_end(command);
  if (!made) {
    Error error = made.error();
    error.hint = "install ssh: apt-get install openssh-client";
    return error;
  }
  if (made->code == 0) return Unit{};
  return Error{ErrorKind::refused, "ssh-keygen: " + last_words(made->err + made->out)};
}

}  // namespace

Result<SshKeyPair> make_ssh_key(const fs::path& scratch) {
  if (const Status made = make_private_folder(scratch); !made) return made.error();
  const fs::path file = scratch / "key";
  const Status done = keygen(file);
  const Result<std::string> key = read_file(file);
  const Result<std::string> line = read_file(file.string() + ".pub");
  std::error_code code;
  fs::remove_all(scratch, code);
  if (!done) return done.error();
  if (!key || !line) return key ? line.error() : key.error();
  return SshKeyPair{*key, first_line(*line)};
}

Result<std::string> laptop_ssh_key(const fs::path& state_dir) {
  const fs::path folder = state_dir / "ssh";
  const fs::path file = folder / "id_ed25519";
  const Result<std::string> there = read_file(file.string() + ".pub");
  if (there) return first_line(*there);
  if (const Status made = make_private_folder(folder); !made) return made.error();
  if (const Status made = keygen(file); !made) return made.error();
  const Result<std::string> line = read_file(file.string() + ".pub");
  if (!line) return line.error();
  return first_line(*line);
}

std::string host_alias(const std::string& run_id) {
  return "mayfly-" + run_id;
}

Status pin_host_key(const fs::path& state_dir, const std::string& run_id,
                    const std::string& public_line) {
  const fs::path folder = state_dir / "known_hosts";
  if (const Status made = make_private_folder(folder); !made) return made;
  return write_file(folder / run_id, host_alias(run_id) + " " + public_line + "\n", 0600);
}

Result<SshLink> SshLink::to(const std::string& address, const std::string& run_id,
                            const fs::path& state_dir) {
  const Error wrong{ErrorKind::invalid_config, "not an address to connect to: " + address};
  const auto at = address.find('@');
  if (at == 0 || at == std::string::npos || address.starts_with('-')) return wrong;
  const auto colon = address.find(':', at);
  const std::string host = address.substr(0, colon);
  if (host.size() == at + 1 || host[at + 1] == '-') return wrong;
  int port = 22;
  if (colon != std::string::npos) {
    const char* const end = address.data() + address.size();
    const auto parsed = std::from_chars(address.data() + colon + 1, end, port);
    if (parsed.ec != std::errc() || parsed.ptr != end || port < 1 || port > 65535) return wrong;
  }
  const fs::path hosts = state_dir / "known_hosts" / run_id;
  std::error_code code;
  // Once a key is known there is no other; without one the first contact decides.
  const char* const strict = fs::exists(hosts, code) ? "yes" : "accept-new";
  std::vector<std::string> words = {"ssh", "-F", "none", "-T"};
  for (const std::string& option :
       {"UserKnownHostsFile=" + hosts.string(), std::string("GlobalKnownHostsFile=/dev/null"),
        "HostKeyAlias=" + host_alias(run_id), std::string("StrictHostKeyChecking=") + strict,
        std::string("HostKeyAlgorithms=ssh-ed25519"), std::string("CheckHostIP=no"),
        std::string("BatchMode=yes"), std::string("IdentitiesOnly=yes"),
        "IdentityFile=" + (state_dir / "ssh" / "id_ed25519").string(),
        std::string("ForwardAgent=no"), std::string("ClearAllForwardings=yes"),
        std::string("ConnectTimeout=15"), std::string("ServerAliveInterval=15"),
        std::string("LogLevel=ERROR")}) {
    words.insert(words.end(), {"-o", option});
  }
  words.insert(words.end(), {"-p", std::to_string(port), "--", host});
  return SshLink(std::move(words));
}

Result<CommandAnswer> SshLink::run(const std::string& command, std::string_view input,
                                   std::chrono::milliseconds limit) const {
  Command ssh{.argv = words_, .environment = plain_environment(), .input = input, .limit = limit};
  ssh.argv.push_back(command);
  Result<CommandAnswer> answer = run_to_end(ssh);
  constexpr int kSshFailed = 255;  // ssh(1), EXIT STATUS
  if (answer && answer->code == kSshFailed) {
    return Error{ErrorKind::unreachable, "ssh: " + last_words(answer->err)};
  }
  return answer;
}

Result<CommandAnswer> SshLink::receive(const std::string& words, std::string_view input,
                                       std::chrono::milliseconds limit) const {
  // Where a folder stands for the machine there is nothing to be root for.
  return run(
      "R=\"${MAYFLY_ROOT:-}\"; F=\"$R/opt/mayfly/receive.sh\"; "
      "if [ -n \"$R\" ] || [ \"$(id -u)\" = 0 ]; then exec sh \"$F\" " +
          words + "; else exec sudo -n sh \"$F\" " + words + "; fi",
      input, limit);
}

std::string ssh_address(const Instance& instance) {
  if (instance.address.empty()) return "";
  return (instance.ssh_user.empty() ? "root" : instance.ssh_user) + "@" + instance.address + ":" +
         std::to_string(instance.ssh_port);
}

}  // namespace mayfly
