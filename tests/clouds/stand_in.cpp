#include "tests/clouds/stand_in.h"

#include <csignal>
#include <cstdlib>
#include <fstream>

#include <arpa/inet.h>
#include <pwd.h>
#include <sys/socket.h>
#include <unistd.h>
#include <yaml-cpp/yaml.h>

#include "core/atomic_file.h"
#include "core/process_table.h"
#include "core/spawn.h"

namespace mayfly {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using std::chrono::steady_clock;

namespace {

int free_port() {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  ::bind(fd, reinterpret_cast<sockaddr*>(&address), size);
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  ::close(fd);
  return ntohs(address.sin_port);
}

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
    : clock_(clock), folder_(std::move(folder)), next_port_(free_port()) {
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
  for (const std::string& path :
       {std::string("/usr/sbin/sshd"), std::string(MAYFLY_SSHD_FOLDER "/usr/sbin/sshd")}) {
    if (::access(path.c_str(), X_OK) == 0) return path;
  }
  return std::nullopt;
}

void StandIns::boot(Machine& machine, const std::string& user_data, const std::string& public_key) {
  const std::lock_guard lock(mutex_);
  Place& place = places_[machine.id];
  place.root = root_of(machine.id);
  place.user_data = user_data;
  ports_[machine.id] = next_port_.exchange(free_port());
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

// sshd wants a user of its own when it is root, and that folder; a mount namespace gives it both
// without anything being changed here.
void StandIns::start_sshd(Place& place, int port) {
  const std::string program = *sshd();
  std::ofstream(place.root / "sshd_config")
      << "Port " << port << "\nListenAddress 127.0.0.1\nHostKey " << place.root.string()
      << "/etc/ssh/ssh_host_ed25519_key\nAuthorizedKeysFile " << place.root.string()
      << "/authorized_keys\nStrictModes no\nUsePAM no\nPasswordAuthentication no\nPidFile none\n"
      << "PermitRootLogin yes\nSetEnv MAYFLY_ROOT=" << place.root.string() << "\n";
  const std::string start = program + " -D -e -f " + (place.root / "sshd_config").string();
  std::string command = "exec " + start;
  SpawnSpec spec;
  spec.argv = {"/bin/sh", "-c", command};
  if (::getuid() == 0) {
    std::ofstream users(place.root / "passwd");
    users << *read_file("/etc/passwd") << "sshd:x:99:65534::/run/sshd:/usr/sbin/nologin\n";
    users.close();
    command = "mount -t tmpfs -o mode=755 none /run && mkdir -p /run/sshd && mount --bind " +
              (place.root / "passwd").string() + " /etc/passwd && " + command;
    spec.argv = {"/usr/bin/unshare", "-m", "/bin/sh", "-c", command};
  }
  spec.environment = {"PATH=/usr/sbin:/usr/bin:/bin",
                      "LD_LIBRARY_PATH=" MAYFLY_SSHD_FOLDER "/usr/lib/x86_64-linux-gnu"};
  spec.output = place.root / "sshd.log";
  spec.own_session = true;
  const Result<pid_t> started = spawn(spec);
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
