#include "tests/clouds/stand_in.h"

#include <csignal>
#include <cstdlib>
#include <fstream>

#include <pwd.h>
#include <unistd.h>
#include <yaml-cpp/yaml.h>

#include "core/atomic_file.h"
#include "core/process_table.h"
#include "core/spawn.h"
#include "tests/clouds/loopback_sshd.h"

namespace mayfly {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using std::chrono::steady_clock;

namespace {

std::string quoted(const std::string& text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

// What cloud-init would do with a cloud-config, as one script: bootcmd, write_files, ssh_keys,
// runcmd. Keys that it would do something about and that are not known here are an error, not
// skipped.
std::string script_of(const std::string& cloud_config) {
  const YAML::Node root = YAML::Load(cloud_config);
  std::string boot, files, keys, run;
  const auto commands = [](const YAML::Node& list) {
    std::string text;
    for (const YAML::Node& item : list) {
      if (item.IsScalar()) {
        text += "sh -c " + quoted(item.as<std::string>()) + "\n";
        continue;
      }
      for (const YAML::Node& word : item) text += quoted(word.as<std::string>()) + " ";
      text += "\n";
    }
    return text;
  };
  for (const auto& pair : root) {
    const auto key = pair.first.as<std::string>();
    if (key == "bootcmd") {
      boot = commands(pair.second);
    } else if (key == "runcmd") {
      run = commands(pair.second);
    } else if (key == "write_files") {
      for (const YAML::Node& file : pair.second) {
        const std::string path = "\"$MAYFLY_ROOT\"" + file["path"].as<std::string>();
        const std::string encoding = file["encoding"] ? file["encoding"].as<std::string>() : "text";
        files += "mkdir -p $(dirname " + path + ")\nprintf %s " +
                 quoted(file["content"].as<std::string>()) +
                 (encoding == "b64" ? " | base64 -d" : "") + " > " + path + "\nchmod " +
                 file["permissions"].as<std::string>() + " " + path + "\n";
      }
    } else if (key == "ssh_keys") {
      keys = "mkdir -p \"$MAYFLY_ROOT/etc/ssh\"\n(umask 077; printf %s " +
             quoted(pair.second["ed25519_private"].as<std::string>()) +
             " > \"$MAYFLY_ROOT/etc/ssh/ssh_host_ed25519_key\")\n";
    } else {
      return "echo unknown key " + key + " >&2; exit 1\n";
    }
  }
  return boot + files + keys + run;
}

}  // namespace

StandIns::StandIns(FakeCloud& cloud, VirtualClock& clock, fs::path folder)
    : clock_(clock), folder_(std::move(folder)), next_port_(free_loopback_port()) {
  fs::create_directories(folder_);
  // Machines and laptop share one calendar.
  const auto behind = SystemClock().now() - clock_.now();
  if (behind.count() > 0) clock_.sleep_for(behind);
  cloud.fleet.boot_takes = 0s;
  cloud.fleet.end_takes = 1s;
  cloud.fleet.boots = [this](Machine& machine, const std::string& user_data,
                             const std::string& public_key) {
    boot(machine, user_data, public_key);
  };
  cloud.fleet.ends = [this](const Machine& machine) {
    const std::lock_guard lock(mutex_);
    places_[machine.id].dies_at = steady_clock::now() + dies_after;
  };
  thread_ = std::thread([this] {
    auto last = steady_clock::now();
    while (!over_) {
      std::this_thread::sleep_for(20ms);
      const auto now = steady_clock::now();
      clock_.sleep_for(std::chrono::duration_cast<std::chrono::milliseconds>(now - last));
      last = now;
      turn();
    }
  });
}

StandIns::~StandIns() {
  over_ = true;
  thread_.join();
  for (const auto& [id, place] : places_) kill_all(place);
}

std::string StandIns::user() {
  const passwd* const entry = ::getpwuid(::getuid());
  return entry == nullptr ? "root" : entry->pw_name;
}

std::optional<std::string> StandIns::sshd() {
  return sshd_program();
}

void StandIns::boot(Machine& machine, const std::string& user_data, const std::string& public_key) {
  const std::lock_guard lock(mutex_);
  Place& place = places_[machine.id];
  place.root = root_of(machine.id);
  place.user_data = user_data;
  ports_[machine.id] = next_port_.exchange(free_loopback_port());
  machine.address = "127.0.0.1";
  machine.user = user();
  machine.port = ports_[machine.id];
  // /run is memory on a machine; here the folder is private, and the test's.
  fs::create_directories(place.root / "run/mayfly");
  fs::create_directories(place.root / "etc/ssh");
  std::ofstream(place.root / "authorized_keys") << public_key << "\n";
  fs::permissions(place.root / "authorized_keys", fs::perms::owner_read);
  std::string script = user_data;
  if (user_data.starts_with("#cloud-config\n")) script = script_of(user_data);
  if (user_data.empty()) {
    script = "ssh-keygen -q -t ed25519 -N '' -f \"$MAYFLY_ROOT/etc/ssh/ssh_host_ed25519_key\"\n";
  }
  std::ofstream(place.root / "start.sh") << script;
  SpawnSpec spec;
  spec.argv = {"/bin/sh", (place.root / "start.sh").string()};
  spec.environment = {"PATH=/usr/sbin:/usr/bin:/bin", "HOME=" + place.root.string(),
                      "MAYFLY_ROOT=" + place.root.string()};
  spec.output = place.root / "console.log";
  spec.own_session = true;
  spec.folder = place.root;
  (void)spawn(spec);
}

void StandIns::start_sshd(Place& place, int port) {
  const Result<pid_t> started =
      start_loopback_sshd({.folder = place.root,
                           .host_key = place.root / "etc/ssh/ssh_host_ed25519_key",
                           .port = port,
                           .session_variable = "MAYFLY_ROOT=" + place.root.string()});
  if (started) place.sshd = *started;
}

void StandIns::turn() {
  const std::lock_guard lock(mutex_);
  for (auto& [id, place] : places_) {
    if (place.dead) continue;
    if (place.dies_at && steady_clock::now() >= *place.dies_at) {
      kill_all(place);
      place.dead = true;
      continue;
    }
    const bool key = fs::exists(place.root / "etc/ssh/ssh_host_ed25519_key");
    if (place.sshd == 0 && key && !mute && sshd()) start_sshd(place, ports_[id]);
  }
}

// Whoever has the machine's folder on its command line, its sshd, and the children of that.
void StandIns::kill_all(const Place& place) const {
  for (int round = 0; round < 5; ++round) {
    bool any = false;
    for (const ProcessInfo& process : all_processes()) {
      if (!process.alive() || process.pid == ::getpid()) continue;
      const auto line = read_file("/proc/" + std::to_string(process.pid) + "/cmdline");
      const bool ours =
          (line && line->find(place.root.string()) != std::string::npos) ||
          (place.sshd > 0 && (process.pid == place.sshd || process.parent == place.sshd ||
                              process.session == place.sshd));
      if (!ours) continue;
      any = true;
      ::kill(process.pid, SIGKILL);
    }
    if (!any) break;
    std::this_thread::sleep_for(10ms);
  }
  if (place.sshd > 0) (void)wait_for_exit(place.sshd, 1s);
}

std::vector<pid_t> StandIns::processes() const {
  std::vector<pid_t> found;
  for (const ProcessInfo& process : all_processes()) {
    if (!process.alive() || process.pid == ::getpid()) continue;
    const auto line = read_file("/proc/" + std::to_string(process.pid) + "/cmdline");
    if (line && line->find(folder_.string() + "/") != std::string::npos)
      found.push_back(process.pid);
  }
  return found;
}

void StandIns::cut_off(const std::string& id) {
  const std::lock_guard lock(mutex_);
  ::kill(places_[id].sshd, SIGKILL);
}

std::string StandIns::user_data(const std::string& id) {
  const std::lock_guard lock(mutex_);
  return places_[id].user_data;
}

}  // namespace mayfly
