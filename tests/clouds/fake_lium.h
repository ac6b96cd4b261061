// Lium's API as the vendor's Python client 0.32 and dstack's backend use it.
#pragma once

#include "tests/clouds/fake_cloud.h"

namespace mayfly {

class FakeLium final : public FakeCloud {
 public:
  using FakeCloud::FakeCloud;

  std::string endpoint() const override {
    return origin() + "/api";
  }
  FakeAnswer no_capacity() const override;
  FakeAnswer no_funds() const override;
  FakeAnswer bad_key() const override;

  std::string ssh_command = "ssh root@203.0.113.7 -p 40022";
  bool says_pod_id = true;
  std::string nodes_answer;  // instead of the list that is made from `types`
  int templates = 0;         // that exist

 protected:
  Op op_of(const FakeRequest& request) const override;
  bool knows_key(const FakeRequest& request) const override;
  FakeAnswer serve(const FakeRequest& request) override;

 private:
  FakeAnswer rent(const FakeRequest& request);
  std::string node_list() const;
  std::map<std::string, std::string> rented_;  // Idempotency-Key -> pod
};

}  // namespace mayfly
