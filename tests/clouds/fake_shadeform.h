// Shadeform's API v1 as its OpenAPI document has it (brevdev/cloud, generated from the vendor's).
#pragma once

#include "tests/clouds/fake_cloud.h"

namespace mayfly {

class FakeShadeform final : public FakeCloud {
 public:
  using FakeCloud::FakeCloud;

  std::string endpoint() const override {
    return origin() + "/v1";
  }
  FakeAnswer no_capacity() const override;
  FakeAnswer no_funds() const override;
  FakeAnswer bad_key() const override;

  std::string cost_estimate = "0.50";  // as an answer has it; "" leaves it out
  std::string types_answer;            // instead of the list that is made from `types`

 protected:
  Op op_of(const FakeRequest& request) const override;
  bool knows_key(const FakeRequest& request) const override;
  FakeAnswer serve(const FakeRequest& request) override;

 private:
  FakeAnswer create(const FakeRequest& request);
  std::string type_list() const;
  std::map<std::string, std::string> keys_;  // material -> id
};

}  // namespace mayfly
