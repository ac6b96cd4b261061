// Lambda's Cloud API as its OpenAPI 1.8.3 has it, with the published limits of requests.
#pragma once

#include "tests/clouds/fake_cloud.h"

namespace mayfly {

class FakeLambda final : public FakeCloud {
 public:
  using FakeCloud::FakeCloud;

  std::string endpoint() const override {
    return origin() + "/api/v1";
  }
  FakeAnswer no_capacity() const override;
  FakeAnswer no_funds() const override;
  FakeAnswer bad_key() const override;

  int refused_ends = 0;  // with vm-has-not-launched
  int limited = 0;       // requests that came too fast

 protected:
  Op op_of(const FakeRequest& request) const override;
  bool knows_key(const FakeRequest& request) const override;
  FakeAnswer serve(const FakeRequest& request) override;

 private:
  bool too_fast(const FakeRequest& request);
  FakeAnswer launch(const FakeRequest& request);
  FakeAnswer terminate(const FakeRequest& request);

  std::optional<WallTime> last_;
  std::optional<WallTime> last_launch_;
  std::map<std::string, std::string> keys_;  // name -> material
};

}  // namespace mayfly
