// A server for one test: answers each request with the next text of a script, byte for byte, so
// that it can be as wrong as a test needs. It keeps what it was sent.
#pragma once

#include <atomic>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace mayfly {

struct RawAnswer {
  std::string text;         // "" : none
  bool keeps_open = false;  // else the connection is closed after it
  bool hangs = false;       // waits for the client to go away instead of answering
};

class RawServer {
 public:
  explicit RawServer(std::vector<RawAnswer> script) : script_(std::move(script)) {
    socket_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ::bind(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address);
    ::listen(socket_, 8);
    socklen_t size = sizeof address;
    ::getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  ~RawServer() {
    stopping_ = true;
    ::shutdown(socket_, SHUT_RDWR);
    thread_.join();
    for (const int fd : connections_) ::shutdown(fd, SHUT_RDWR);
    for (std::thread& thread : threads_) thread.join();
    for (const int fd : connections_) ::close(fd);
    ::close(socket_);
  }

  std::string url(const std::string& path = "/") const {
    return "http://127.0.0.1:" + std::to_string(port_) + path;
  }
  int port() const {
    return port_;
  }
  std::vector<std::string> requests() {
    const std::lock_guard lock(mutex_);
    return requests_;
  }

 private:
  void serve() {
    while (!stopping_) {
      const int fd = ::accept(socket_, nullptr, nullptr);
      if (fd < 0) return;
      connections_.push_back(fd);
      threads_.emplace_back([this, fd] {
        while (!stopping_ && answer_one(fd)) {
        }
        ::shutdown(fd, SHUT_RDWR);
      });
    }
  }

  // False: the connection is over.
  bool answer_one(int fd) {
    std::string request;
    char block[65536];
    for (std::size_t wanted = std::string::npos; request.size() < wanted;) {
      const ssize_t got = ::recv(fd, block, sizeof block, 0);
      if (got <= 0) return false;
      request.append(block, static_cast<std::size_t>(got));
      const auto end = request.find("\r\n\r\n");
      if (end == std::string::npos || wanted != std::string::npos) continue;
      const auto length = request.find("Content-Length: ");
      wanted = end + 4 + (length < end ? std::stoul(request.substr(length + 16)) : 0);
    }
    RawAnswer answer;
    {
      const std::lock_guard lock(mutex_);
      requests_.push_back(request);
      if (next_ < script_.size()) answer = script_[next_++];
    }
    if (answer.hangs) return ::recv(fd, block, sizeof block, 0) > 0;
    std::string_view rest = answer.text;
    while (!rest.empty()) {
      const ssize_t sent = ::send(fd, rest.data(), rest.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      rest.remove_prefix(static_cast<std::size_t>(sent));
    }
    return answer.keeps_open;
  }

  std::vector<RawAnswer> script_;
  std::size_t next_ = 0;
  std::vector<std::string> requests_;
  std::mutex mutex_;
  std::atomic<bool> stopping_{false};
  std::vector<int> connections_;      // of thread_ while it runs, then of the destructor
  std::vector<std::thread> threads_;  // one a connection
  int socket_ = -1;
  int port_ = 0;
  std::thread thread_;
};

}  // namespace mayfly
