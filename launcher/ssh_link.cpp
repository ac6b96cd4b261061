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

namespace {

struct Destination {
  std::string host;  // user@host
  int port = 22;
};

Result<Destination> destination_of(const std::string& address) {
  const Error wrong{ErrorKind::invalid_config, "not an address to connect to: " + address};
  const auto at = address.find('@');
  if (at == 0 || at == std::string::npos || address.starts_with('-')) return wrong;
  const auto colon = address.find(':', at);
  Destination to{address.substr(0, colon)};
  if (to.host.size() == at + 1 || to.host[at + 1] == '-') return wrong;
  if (colon != std::string::npos) {
    const char* const end = address.data() + address.size();
    const auto parsed = std::from_chars(address.data() + colon + 1, end, to.port);
    if (parsed.ec != std::errc() || parsed.ptr != end || to.port < 1 || to.port > 65535) {
      return wrong;
    }
  }
  return to;
}

// Who opens the door.
struct Keys {
  std::vector<std::string> files;
  bool agent = false;  // what ssh-agent has, too
};

// The words up to the host.
std::vector<std::string> ssh_words(const Destination& to, const fs::path& hosts,
                                   const std::string& alias, const Keys& keys) {
  std::error_code code;
  // Once a key is known there is no other; without one the first contact decides.
  const char* const strict = fs::exists(hosts, code) ? "yes" : "accept-new";
  std::vector<std::string> words = {"ssh", "-F", "none", "-T"};
  for (const std::string& option :
       {"UserKnownHostsFile=" + hosts.string(), std::string("GlobalKnownHostsFile=/dev/null"),
        "HostKeyAlias=" + alias, std::string("StrictHostKeyChecking=") + strict,
        std::string("HostKeyAlgorithms=ssh-ed25519"), std::string("CheckHostIP=no"),
        std::string("BatchMode=yes"), std::string("IdentitiesOnly=") + (keys.agent ? "no" : "yes"),
        std::string("ForwardAgent=no"), std::string("ClearAllForwardings=yes"),
        std::string("ConnectTimeout=15"), std::string("ServerAliveInterval=15"),
        std::string("LogLevel=ERROR")}) {
    words.insert(words.end(), {"-o", option});
  }
  for (const std::string& file : keys.files) {
    words.insert(words.end(), {"-o", "IdentityFile=" + file});
  }
  words.insert(words.end(), {"-p", std::to_string(to.port), "--", to.host});
  return words;
}

std::string home_of_user() {
  const char* const home = std::getenv("HOME");
  return home == nullptr ? "" : home;
}

std::string name_of(const Destination& to) {
  return to.host.substr(to.host.find('@') + 1);
}

// The line "ssh-ed25519 AAAA..." that the user's own list has for a host; "" if none.
std::string known_to_user(const Destination& to) {
  const std::string asked =
      to.port == 22 ? name_of(to) : "[" + name_of(to) + "]:" + std::to_string(to.port);
  const Result<CommandAnswer> said =
      run_to_end({.argv = {"ssh-keygen", "-F", asked, "-f", home_of_user() + "/.ssh/known_hosts"},
                  .environment = plain_environment(),
                  .limit = 20s});
  if (!said || said->code != 0) return "";
  const auto at = said->out.find(" ssh-ed25519 ");
  if (at == std::string::npos) return "";
  return first_line(said->out.substr(at + 1));
}

std::string pin_of(const Destination& to) {
  std::string pin = "host-" + name_of(to) + "-" + std::to_string(to.port);
  for (char& c : pin) {
    if (c == '/' || c == '%') c = '_';
  }
  return pin;
}

}  // namespace

Result<SshLink> SshLink::to(const std::string& address, const std::string& run_id,
                            const fs::path& state_dir) {
  const Result<Destination> destination = destination_of(address);
  if (!destination) return destination.error();
  const Keys ours{{(state_dir / "ssh" / "id_ed25519").string()}};
  return SshLink(
      ssh_words(*destination, state_dir / "known_hosts" / run_id, host_alias(run_id), ours));
}

Result<SshLink> SshLink::to_host(const SshHost& host, const std::string& run_id,
                                 const fs::path& state_dir) {
  const Result<Destination> destination = destination_of(host.address);
  if (!destination) return destination.error();
  const std::string pin = pin_of(*destination);
  const fs::path hosts = state_dir / "known_hosts" / pin;
  std::error_code code;
  if (!fs::exists(hosts, code)) {
    const std::string known = known_to_user(*destination);
    const Status done = known.empty() ? make_private_folder(hosts.parent_path())
                                      : pin_host_key(state_dir, pin, known);
    if (!done) return done.error();
  }
  Keys keys{{host.key}, host.key.empty()};
  if (keys.agent) {
    keys.files = {(state_dir / "ssh" / "id_ed25519").string()};
    for (const char* name : {"id_ed25519", "id_ecdsa", "id_rsa"}) {
      keys.files.push_back(home_of_user() + "/.ssh/" + name);
    }
    std::erase_if(keys.files, [](const std::string& file) {
      std::error_code missing;
      return !fs::exists(file, missing);
    });
  }
  SshLink link(ssh_words(*destination, hosts, host_alias(pin), keys));
  link.uses_agent_ = keys.agent;
  if (!run_id.empty()) link.before_ = "export MAYFLY_ROOT=\"$HOME/.mayfly/" + run_id + "\"; ";
  return link;
}

Result<CommandAnswer> SshLink::run(const std::string& command, std::string_view input,
                                   std::chrono::milliseconds limit) const {
  Command ssh{.argv = words_, .environment = plain_environment(), .input = input, .limit = limit};
  ssh.argv.push_back(before_ + command);
  if (const char* const agent = std::getenv("SSH_AUTH_SOCK"); agent != nullptr && uses_agent_) {
    ssh.environment.push_back(std::string("SSH_AUTH_SOCK=") + agent);
  }
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
