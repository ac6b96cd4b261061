#include "launcher/attached_host.h"

#include <cstdlib>
#include <sstream>

#include <pwd.h>
#include <unistd.h>

#include "core/provider/attached.h"
#include "core/provider/gpu_name.h"

namespace mayfly {

using namespace std::chrono_literals;

namespace {

constexpr auto kLookTakes = 60s;
constexpr auto kAskTakes = 60s;

// Lines "WORD VALUE"; GPUs as nvidia-smi names them, with their memory in MiB.
constexpr const char* kLook =
    "echo arch $(uname -m); echo cpus $(nproc); "
    "echo memory $(sed -n 's/^MemTotal: *\\([0-9]*\\) kB$/\\1/p' /proc/meminfo); "
    "echo disk $(df -Pk \"$HOME\" | sed -n '2s/^.* \\([0-9]*\\) *[0-9]*% .*$/\\1/p'); "
    "echo runs $(ls \"$HOME/.mayfly\" 2>/dev/null | wc -l); "
    "for p in setsid grep sha256sum base64 tar readlink; do "
    "command -v $p >/dev/null || echo lacks $p; done; [ -d /dev/shm ] || echo lacks /dev/shm; "
    "nvidia-smi --query-gpu=name,memory.total --format=csv,noheader,nounits 2>/dev/null | "
    "sed 's/^/gpu /'";

#if defined(__aarch64__)
constexpr std::string_view kOurArchitecture = "aarch64";
#else
constexpr std::string_view kOurArchitecture = "x86_64";
#endif

std::string user_here() {
  const passwd* const entry = ::getpwuid(::getuid());
  return entry == nullptr ? "root" : entry->pw_name;
}

// "NVIDIA H100 80GB HBM3, 81559"
void add_gpu(const std::string& text, Offer& offer) {
  const auto comma = text.rfind(',');
  if (comma == std::string::npos) return;
  const double bytes = std::atof(text.c_str() + comma + 1) * 1048576.0;
  offer.gpu = gpu_model(text.substr(0, comma));
  offer.vram_gb = static_cast<int>(bytes / 1e9);
  ++offer.gpu_count;
}

AttachedPlace place_of_run(const KnownRun& run, const std::filesystem::path& state_dir) {
  AttachedPlace place;
  place.run_id = run.run_id;
  place.address = run.address;
  place.folder = "\"$HOME/.mayfly/" + run.run_id + "\"";
  place.price = run.price;
  place.shell = [host = SshHost{run.address, run.ssh_key}, state_dir](
                    const std::string& line, std::string_view input) -> Result<CommandAnswer> {
    const Result<SshLink> link = SshLink::to_host(host, "", state_dir);
    if (!link) return link.error();
    return link->run(line, input, kAskTakes);
  };
  return place;
}

}  // namespace

Result<SshHost> attached_host(const RunConfig& config) {
  std::string address = config.instance.host.value_or("");
  if (address.empty()) return Error{ErrorKind::invalid_config, "instance.host is not given"};
  if (address.find('@') == std::string::npos) {
    address = config.ssh.user.value_or(user_here()) + "@" + address;
  }
  const bool has_port = address.find(':') != std::string::npos;
  if (has_port && config.ssh.port) {
    return Error{ErrorKind::invalid_config, "instance.host and ssh.port both give a port"};
  }
  if (!has_port) address += ":" + std::to_string(config.ssh.port.value_or(22));
  return SshHost{address, config.ssh.key.value_or("")};
}

Result<HostFacts> host_facts(const std::string& text, const std::string& address) {
  HostFacts facts;
  Offer& offer = facts.offer;
  offer.provider = "attached";
  offer.instance_type = "a host that runs";
  offer.region = address;
  std::string architecture;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const auto space = line.find(' ');
    const std::string word = line.substr(0, space);
    const std::string value = space == std::string::npos ? "" : line.substr(space + 1);
    if (word == "arch") architecture = value;
    if (word == "cpus") offer.vcpus = std::atoi(value.c_str());
    if (word == "memory") offer.memory_gb = static_cast<int>(std::atof(value.c_str()) * 1.024e-6);
    if (word == "disk") offer.disk_gb = static_cast<int>(std::atof(value.c_str()) * 1.024e-6);
    if (word == "runs") facts.runs = std::atoi(value.c_str());
    if (word == "lacks") facts.lacks.push_back(value);
    if (word == "gpu") add_gpu(value, offer);
  }
  if (architecture.empty()) return Error{ErrorKind::refused, address + " did not say what it is"};
  if (architecture != kOurArchitecture) {
    facts.lacks.push_back("a processor of " + std::string(kOurArchitecture) + " (it is " +
                          architecture + ")");
  }
  return facts;
}

Result<HostFacts> look_at_host(const SshHost& host, const std::filesystem::path& state_dir) {
  const Result<SshLink> link = SshLink::to_host(host, "", state_dir);
  if (!link) return link.error();
  const Result<CommandAnswer> said = link->run(kLook, "", kLookTakes);
  if (!said) {
    Error error = while_doing("looking at " + host.address, said.error());
    error.hint = "does `ssh " + host.address.substr(0, host.address.rfind(':')) +
                 "` get in without a question? --key-name names another key";
    return error;
  }
  return host_facts(said->out, host.address);
}

Result<std::unique_ptr<Provider>> attached_runs(const Desk& desk) {
  const Result<std::vector<KnownRun>> runs = desk.state.runs();
  if (!runs) return runs.error();
  std::vector<AttachedPlace> places;
  for (const KnownRun& run : *runs) {
    if (run.provider != "attached" || !may_be_billing(run)) continue;
    places.push_back(place_of_run(run, desk.state_dir));
  }
  std::unique_ptr<Provider> provider =
      std::make_unique<AttachedProvider>(std::move(places), desk.clock);
  return provider;
}

Result<SshLink> link_of(const KnownRun& run, const std::filesystem::path& state_dir) {
  if (run.provider != "attached") return SshLink::to(run.address, run.run_id, state_dir);
  return SshLink::to_host({run.address, run.ssh_key}, run.run_id, state_dir);
}

}  // namespace mayfly
