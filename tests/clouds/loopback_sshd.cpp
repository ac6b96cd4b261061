#include "tests/clouds/loopback_sshd.h"

#include <fstream>

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/atomic_file.h"
#include "core/spawn.h"

namespace mayfly {

int free_loopback_port() {
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

std::optional<std::string> sshd_program() {
  for (const std::string& path :
       {std::string("/usr/sbin/sshd"), std::string(MAYFLY_SSHD_FOLDER "/usr/sbin/sshd")}) {
    if (::access(path.c_str(), X_OK) == 0) return path;
  }
  return std::nullopt;
}

Result<pid_t> start_loopback_sshd(const LoopbackSshd& sshd) {
  const std::string folder = sshd.folder.string();
  std::ofstream config(sshd.folder / "sshd_config");
  config << "Port " << sshd.port << "\nListenAddress 127.0.0.1\nHostKey " << sshd.host_key.string()
         << "\nAuthorizedKeysFile " << folder << "/authorized_keys\nStrictModes no\nUsePAM no\n"
         << "PasswordAuthentication no\nPidFile none\nPermitRootLogin yes\n";
  if (!sshd.session_variable.empty()) config << "SetEnv " << sshd.session_variable << "\n";
  config.close();
  std::string command = "exec " + *sshd_program() + " -D -e -f " + folder + "/sshd_config";
  SpawnSpec spec;
  spec.argv = {"/bin/sh", "-c", command};
  if (::getuid() == 0) {
    std::ofstream users(sshd.folder / "passwd");
    users << *read_file("/etc/passwd") << "sshd:x:99:65534::/run/sshd:/usr/sbin/nologin\n";
    users.close();
    command = "mount -t tmpfs -o mode=755 none /run && mkdir -p /run/sshd && mount --bind " +
              folder + "/passwd /etc/passwd && " + command;
    spec.argv = {"/usr/bin/unshare", "-m", "/bin/sh", "-c", command};
  }
  spec.environment = {"PATH=/usr/sbin:/usr/bin:/bin",
                      "LD_LIBRARY_PATH=" MAYFLY_SSHD_FOLDER "/usr/lib/x86_64-linux-gnu"};
  spec.output = sshd.folder / "sshd.log";
  spec.own_session = true;
  return spawn(spec);
}

}  // namespace mayfly
