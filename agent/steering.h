// What a running agent answers to those who look at it or ask it for something.
//
//   GET  /          the page for people           GET /status    agent/status.json
//   GET  /metrics   for Prometheus                POST /request  asks: {"request": "checkpoint"}
//
// By the socket all of it, for the agent's own user. By the port only to look, and only with the
// token of agent/http-token (0600): "Authorization: Bearer TOKEN", or as the password of any user,
// so that a browser asks for it. agent/http.json says which port.
//
// It knows nothing of the agent's loop: it reads the files that the loop writes and leaves requests
// where the loop finds them (core/run/request.h). So nothing here can delay the loop or stop it.
#pragma once

#include <memory>
#include <string>

#include "agent/gpu_meter.h"
#include "agent/loss_curve.h"
#include "agent/steering_server.h"
#include "core/clock.h"
#include "core/result.h"
#include "core/run/directory.h"
#include "core/secret.h"

namespace mayfly {

// One caller at a time.
class Steering {
 public:
  // The clock outlives it. `nvidia_smi` may not exist.
  Steering(RunDirectory run, Secret token, std::filesystem::path nvidia_smi, Clock& clock);

  SteeringAnswer answer(const SteeringRequest& request, Door door);

 private:
  bool may_look(const SteeringRequest& request) const;
  SteeringAnswer show(const std::string& path);
  SteeringAnswer take_request(const std::string& body);

  RunDirectory run_;
  Secret token_;
  LossCurve curve_;
  GpuMeter gpus_;
  Clock& clock_;
};

// Opens the doors of the run's agent: token, socket agent/control.sock, port. A failure is for the
// log: a run goes on without being looked at. Errors: refused, no_space.
Result<std::unique_ptr<SteeringServer>> open_steering(const RunDirectory& run, int port,
                                                      Clock& clock);

}  // namespace mayfly
