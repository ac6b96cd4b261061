// A vendor's API on loopback: real HTTP, virtual time. It keeps a journal of every request and does
// what faults tell it to; each vendor's fake puts in paths, bodies and words, written from the
// vendor's own schema (docs/providers.md names them).
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "core/provider/cloud_api.h"
#include "tests/clouds/fleet.h"

namespace mayfly {

// What a request is for, in no vendor's words.
enum class Op { offers, create, get, list, terminate, keys, other };

struct FakeRequest {
  Op op = Op::other;
  std::string method;
  std::string path;  // with its query
  std::string body;
  std::vector<HttpHeader> headers;
  WallTime at;
  int status = 0;  // that was answered; 0: the connection was closed

  std::string header(std::string_view name) const;
};

struct FakeAnswer {
  int status = 200;
  std::string body;
  std::vector<HttpHeader> headers = {};
  std::string type = "application/json";
};

enum class Harm {
  answer_instead,  // nothing is done
  answer_after,    // it is done, and answered differently
  close_before,    // the connection closes, and nothing is done
  close_after,     // it is done, and the connection closes without an answer
  drip,            // the answer comes byte by byte, in real time
};

struct FakeFault {
  Op op = Op::create;
  Harm harm = Harm::answer_instead;
  FakeAnswer answer = {};
  int times = 1;
  int skip = 0;  // so many requests pass unharmed first
};

class FakeCloud {
 public:
  static constexpr const char* kKey = "test-key-9f27c1";

  explicit FakeCloud(VirtualClock& clock);
  virtual ~FakeCloud();
  FakeCloud(const FakeCloud&) = delete;
  FakeCloud& operator=(const FakeCloud&) = delete;

  // Before any request. Stops when it is destroyed.
  void start();
  void stop();
  virtual std::string endpoint() const {
    return origin();
  }

  void inject(FakeFault fault);
  // No connection lives until then.
  void be_down_for(std::chrono::seconds time);
  std::vector<FakeRequest> journal();
  int count(Op op);

  // The vendor's words for saying no.
  virtual FakeAnswer no_capacity() const = 0;
  virtual FakeAnswer no_funds() const = 0;
  virtual FakeAnswer bad_key() const = 0;
  virtual FakeAnswer busy(int retry_after_seconds) const;  // 0: it does not say

  Fleet fleet;
  std::vector<FakeType> types;

 protected:
  virtual Op op_of(const FakeRequest& request) const = 0;
  virtual bool knows_key(const FakeRequest& request) const = 0;
  virtual FakeAnswer serve(const FakeRequest& request) = 0;

  std::string origin() const;
  const FakeType* type_named(const std::string& name) const;
  VirtualClock& clock_;

 private:
  struct Server;
  FakeAnswer answer(FakeRequest& request, std::string* harm, int remote_port);
  std::optional<FakeFault> take_fault(Op op);

  std::unique_ptr<Server> server_;
  std::mutex mutex_;
  std::vector<FakeRequest> journal_;
  std::deque<FakeFault> faults_;
  std::optional<WallTime> down_until_;
};

}  // namespace mayfly
