// The doors of a running agent: a Unix socket that only its own user can open, and a port of
// 127.0.0.1 for browsers and Prometheus. One thread, which shares nothing with the agent's loop.
//
// Whatever a client does, it costs a bounded amount: at most 8 connections a door, 16 KB a request,
// 5 seconds from the connection to the last byte of the answer, one request a connection. A door
// whose connections are all taken lets the next client wait in the kernel's queue; the doors do not
// take places from each other. Without a client the thread sleeps.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "agent/steering_request.h"
#include "core/result.h"

namespace mayfly {

struct SteeringAnswer {
  int status = 200;
  std::string type = "text/plain; charset=utf-8";
  std::string body;
  std::string extra_header = {};  // "Allow: GET", without a line break
};

// By which door a request came in: the socket's clients are the agent's own user or root.
enum class Door { socket, port };

struct SteeringDoors {
  std::filesystem::path socket;  // replaced if it is there; mode 0600
  int port = 0;                  // of 127.0.0.1; 0: any that is free
  // From the connection to the last byte of the answer.
  std::chrono::milliseconds whole{5000};
};

class SteeringServer {
 public:
  // `answer` is called by the server's thread, one request at a time; it must return within
  // milliseconds. A port that is taken is replaced by a free one. Errors: refused.
  using Answer = std::function<SteeringAnswer(const SteeringRequest&, Door)>;
  static Result<std::unique_ptr<SteeringServer>> start(const SteeringDoors& doors, Answer answer);

  // Ends the thread; connections are cut.
  ~SteeringServer();
  SteeringServer(const SteeringServer&) = delete;
  SteeringServer& operator=(const SteeringServer&) = delete;

  int port() const;

  static constexpr int kMostConnections = 8;  // a door

 private:
  class Parts;
  explicit SteeringServer(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace mayfly
