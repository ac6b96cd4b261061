// EC2's Query API 2016-11-15 and the Price List service, as botocore's service models have them;
// with what moto leaves out: client tokens, capacity by zone, delays, a verified signature.
#pragma once

#include "tests/clouds/fake_cloud.h"

namespace mayfly {

class FakeEc2 final : public FakeCloud {
 public:
  explicit FakeEc2(VirtualClock& clock) : FakeCloud(clock) {
    fleet.shown_gone = std::chrono::hours(1);
  }

  FakeAnswer no_capacity() const override;
  FakeAnswer no_funds() const override;
  FakeAnswer bad_key() const override;
  FakeAnswer busy(int retry_after_seconds) const override;
  // What a machine's disk and public address cost an hour in these regions, which are dear ones.
  static Usd beside(int disk_gb);
  static FakeAnswer refusal(int status, const std::string& code, const std::string& message);

  // Spot prices in cents, by "type zone"; the region is the zone without its last letter.
  std::map<std::string, int> spot;
  int pages = 1;  // over which types are spread
  bool tells_prices = true;

 protected:
  Op op_of(const FakeRequest& request) const override;
  bool knows_key(const FakeRequest& request) const override;
  FakeAnswer serve(const FakeRequest& request) override;

 private:
  FakeAnswer run(const FakeRequest& request);
  FakeAnswer describe(const FakeRequest& request);
  FakeAnswer describe_types(const FakeRequest& request) const;
  FakeAnswer spot_history(const FakeRequest& request) const;
  FakeAnswer prices(const FakeRequest& request) const;
  std::string instance_xml(Machine& machine);

  std::map<std::string, std::string> keys_;                            // name -> public key
  std::map<std::string, std::pair<std::string, std::string>> tokens_;  // token -> body, machine
};

}  // namespace mayfly
