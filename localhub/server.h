// The stand-in hub as a running server: two HTTP origins on 127.0.0.1, the hub and its storage. For
// one person on one machine: it is never reachable from outside, and knows one token.
#pragma once

#include <atomic>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "core/clock.h"
#include "core/result.h"
#include "localhub/faults.h"
#include "localhub/hub.h"

namespace mayfly::localhub {

struct ServerOptions {
  std::filesystem::path root;
  int port = 0;  // 0: any free one; the storage origin always takes one
  HubSettings settings;
  // Called with a line for every request, from any thread, one at a time.
  std::function<void(const std::string&)> log = {};
};

class Server {
 public:
  // Opens the folder, binds both origins and serves until destruction. Errors: usage (the port is
  // in use, or another process serves this folder), and those of the files.
  static Result<std::unique_ptr<Server>> start(ServerOptions options, Clock& clock);
  ~Server();

  int port() const;
  int storage_port() const;
  // "http://127.0.0.1:PORT"
  const std::string& endpoint() const;
  Faults& faults();
  // When the last request ended; while one is running, now.
  SteadyTime last_used() const;

 private:
  struct Parts;
  explicit Server(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace mayfly::localhub
