// AWS EC2: virtual machines by the Query API, version 2016-11-15, signed with Signature Version 4.
//
// Money: a spot price is a text of dollars an hour for the whole instance, from
// DescribeSpotPriceHistory, one for each availability zone; it drifts while a machine runs. The
// on-demand price comes from the Price List service (ec2_prices.h). Disk and public address are
// billed beside the machine; an offer's price holds all three (not what leaves the machine, free up
// to 100 GB a month). None of it is in what EC2 says of a machine, so the sum goes into a tag.
// Billing is by the second, 60 at least.
// Limits: InstanceInitiatedShutdownBehavior=terminate, sent with create and read back. With it a
// machine that powers off is gone, so the boot fuse needs neither key nor network. A spot machine
// is one-time: nothing starts it again.
// Finding: tags mayfly-run and mayfly-attempt go with the create call. The client token is a hash
// of all that the request asks for: sent twice, it makes one machine.
// Secrets: user data can be read by every process on the machine (IMDSv2 is demanded, which keeps
// out forged requests, not processes): it holds none.
//
// Errors are told by their code: InsufficientInstanceCapacity comes as HTTP 500. A quota holds for
// a whole region, and spot and on-demand have quotas of their own. Terminated machines are listed
// for an hour; a new one may be missing for some seconds.
#pragma once

#include <map>

#include "core/http/sigv4.h"
#include "core/provider/cloud_api.h"

namespace mayfly {

class Ec2Provider final : public Provider {
 public:
  // access.endpoint may hold "{region}"; at another host than AWS's the same one is asked for
  // prices. The clock outlives it.
  Ec2Provider(std::unique_ptr<HttpClient> http, Clock& clock, const CloudAccess& access,
              const ApiPatience& patience = {});

  std::string name() const override {
    return "aws";
  }
  // Of every region. Without the right to ask for prices, spot offers alone.
  Result<std::vector<Offer>> offers() override;
  CreateOutcome create(const InstanceSpec& spec) override;
  Result<std::vector<Instance>> list_ours() override;
  Result<std::vector<Instance>> find_run(const std::string& run_id) override;
  Result<Instance> get(const InstanceId& id) override;
  Status terminate(const InstanceId& id) override;
  ProviderTraits traits() const override;
  Result<ServerLimits> limits_of(const InstanceId& id) override;

 private:
  using Fields = std::vector<std::pair<std::string, std::string>>;

  CloudApi::Parts parts(const ApiPatience& patience);
  std::string url(const std::string& region) const;
  Result<std::string> ask(const std::string& region, const std::string& action,
                          const Fields& fields);
  Result<std::map<std::string, Usd>> on_demand_prices(const std::string& region);
  Status add_offers(const std::string& region, std::vector<Offer>& offers);
  Result<std::string> image_in(const std::string& region);
  Result<std::string> key_in(const std::string& region, const std::string& public_key);
  Result<Fields> create_fields(const InstanceSpec& spec);
  Result<std::vector<Instance>> described(const std::string& region, const Fields& filter);
  Result<std::vector<Instance>> described_everywhere(const Fields& filter);
  // The region of a machine that was seen before, or all of them.
  std::vector<std::string> regions_of(const InstanceId& id) const;

  Clock& clock_;
  CloudAccess access_;
  std::vector<std::string> regions_;
  AwsScope scope_;                             // of the request under way
  std::map<InstanceId, std::string> seen_;     // machine -> region
  std::map<std::string, std::string> images_;  // region -> image
  CloudApi api_;
};

}  // namespace mayfly
