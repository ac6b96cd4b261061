// A server of wheels on a port of this machine, real HTTP with ranges, with the faults that a test
// asks for.
#pragma once

#include <atomic>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <httplib.h>

#include "core/run/runtime.h"
#include "core/sha256.h"
#include "tests/fakes/small_zip.h"

namespace mayfly {

class WheelServer {
 public:
  WheelServer() {
    server_.Get(R"(/(.+))", [this](const httplib::Request& request, httplib::Response& response) {
      answer(request.matches[1], request, response);
    });
    port_ = server_.bind_to_any_port("127.0.0.1");
    thread_ = std::thread([this] { server_.listen_after_bind(); });
    while (!server_.is_running()) std::this_thread::yield();
  }
  ~WheelServer() {
    server_.stop();
    thread_.join();
  }
  WheelServer(const WheelServer&) = delete;
  WheelServer& operator=(const WheelServer&) = delete;

  // Serves it, and says what a plan would of it.
  PlannedWheel add(const std::string& name, const std::vector<SmallZipMember>& members) {
    const std::string archive = small_zip(members);
    PlannedWheel wheel{name,
                       "http://127.0.0.1:" + std::to_string(port_) + "/" + name,
                       sha256_hex(archive),
                       static_cast<std::int64_t>(archive.size()),
                       {}};
    for (const SmallZipMember& member : members) {
      wheel.files.push_back({member.name, static_cast<std::int64_t>(member.text.size())});
    }
    const std::lock_guard lock(mutex_);
    wheels_[name] = archive;
    return wheel;
  }
  // What the next answers are, one each; then the wheel as it is.
  struct Fault {
    int status = 0;             // this and nothing else
    std::size_t cut_after = 0;  // the connection ends after so many bytes
    std::string instead = {};   // other bytes
  };
  void fail(const std::string& name, std::vector<Fault> faults) {
    const std::lock_guard lock(mutex_);
    faults_[name] = std::move(faults);
  }
  // "name" or "name from 17", in the order asked.
  std::vector<std::string> asked() const {
    const std::lock_guard lock(mutex_);
    return asked_;
  }

 private:
  void answer(const std::string& name, const httplib::Request& request,
              httplib::Response& response) {
    const std::lock_guard lock(mutex_);
    const std::size_t from =
        request.ranges.empty() ? 0 : static_cast<std::size_t>(request.ranges[0].first);
    asked_.push_back(name + (from == 0 ? "" : " from " + std::to_string(from)));
    const auto found = wheels_.find(name);
    if (found == wheels_.end()) {
      response.status = 404;
      return;
    }
    std::string body = found->second;
    auto& faults = faults_[name];
    if (!faults.empty()) {
      const Fault fault = faults.front();
      faults.erase(faults.begin());
      if (fault.status != 0) {
        response.status = fault.status;
        return;
      }
      if (!fault.instead.empty()) body = fault.instead;
      if (fault.cut_after != 0) {
        const std::size_t end = from + fault.cut_after;
        response.set_content_provider(
            body.size(), "application/zip",
            [body, end](std::size_t at, std::size_t, httplib::DataSink& sink) {
              if (at >= end) return false;
              sink.write(body.data() + at, std::min(body.size(), end) - at);
              return true;
            });
        return;
      }
    }
    response.set_content(body, "application/zip");
  }

  httplib::Server server_;
  std::thread thread_;
  int port_ = 0;
  mutable std::mutex mutex_;  // guards all below
  std::map<std::string, std::string> wheels_;
  std::map<std::string, std::vector<Fault>> faults_;
  std::vector<std::string> asked_;
};

}  // namespace mayfly
