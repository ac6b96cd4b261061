// Machines for a fake cloud that really do something: each is a folder that stands for its root,
// with a real sshd on loopback, and executes the user-data that the create call brought, as
// cloud-init or the vendor would. Its end kills all its processes.
//
// What it is not: a kernel, systemd, a user of its own, a GPU, a disk that dies with it.
#pragma once

#include <atomic>
#include <filesystem>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include <sys/types.h>

#include "tests/clouds/fake_cloud.h"
#include "tests/clouds/virtual_clock.h"

namespace mayfly {

class StandIns {
 public:
  // Real time passes for the cloud from now on. Both outlive this. `folder`: where the machines
  // are.
  StandIns(FakeCloud& cloud, VirtualClock& clock, std::filesystem::path folder);
  ~StandIns();
  StandIns(const StandIns&) = delete;
  StandIns& operator=(const StandIns&) = delete;

  // Who logs in to a stand-in.
  static std::string user();
  // The sshd that is used; nullopt: there is none here.
  static std::optional<std::string> sshd();

  std::filesystem::path root_of(const std::string& id) const {
    return folder_ / id;
  }
  // Processes that belong to any of the machines.
  std::vector<pid_t> processes() const;
  std::string user_data(const std::string& id);
  // Its sshd dies; the machine goes on.
  void cut_off(const std::string& id);
  // How long a machine goes on after its end was asked for.
  std::chrono::milliseconds dies_after{500};
  // Where the next machine's sshd listens, for vendors that do not say.
  int next_port() const {
    return next_port_;
  }
  // Machines that start no sshd: nobody reaches them.
  std::atomic<bool> mute{false};

 private:
  struct Place {
    std::filesystem::path root;
    std::string user_data;
    pid_t sshd = 0;
    bool dead = false;
    std::optional<std::chrono::steady_clock::time_point> dies_at;
  };
  void boot(Machine& machine, const std::string& user_data, const std::string& public_key);
  void turn();
  void start_sshd(Place& place, int port);
  void kill_all(const Place& place) const;

  VirtualClock& clock_;
  std::filesystem::path folder_;
  mutable std::mutex mutex_;
  std::map<std::string, Place> places_;
  std::map<std::string, int> ports_;
  std::atomic<int> next_port_;
  std::atomic<bool> over_{false};
  std::thread thread_;
};

}  // namespace mayfly
