// Which clouds there are keys for, and how they are reached.
//
// Keys come from the environment, or from a .env file in the working directory that fills in what
// is unset: SHADEFORM_API_KEY, LAMBDA_API_KEY, LIUM_API_KEY, and AWS's own AWS_ACCESS_KEY_ID,
// AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN and AWS_REGION (several with commas). Where AWS is
// named, or AWS_PROFILE set, what is still unset comes from AWS's own files (aws_profile.h). Where
// an API is can be changed by SHADEFORM_ENDPOINT, LAMBDA_ENDPOINT, LIUM_ENDPOINT and
// AWS_ENDPOINT_URL_EC2, as HF_ENDPOINT does for the hub; an address that is neither https nor this
// machine is refused, for a key would travel in the clear.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/clock.h"
#include "core/config/environment.h"
#include "core/provider/provider.h"
#include "core/result.h"
#include "launcher/state_file.h"

namespace mayfly {

// What a cloud is asked with to rent; `cloud`: the one that is named, or "". With `region` the
// whole name of one of AWS's, that one alone is asked. Errors: invalid_config, and those of
// with_aws_profile.
Result<Environment> environment_to_rent(const std::string& cloud, const std::string& region);

// What clouds are asked with for machines that are there already. AWS lists them by region, so the
// regions in which runs of the list were started are asked too, wherever AWS_REGION points now; and
// its files are read as long as a run may be billing there. Errors: also the list's.
Result<Environment> environment_to_look(const StateFile& state, const std::string& cloud);

// A client for every cloud that `environment` has a key for; with `name`, of that one alone.
// The clock outlives them. Errors: unauthorized (no key; says which variable), usage (a bad
// address), unsupported (no such provider).
Result<std::vector<std::unique_ptr<Provider>>> clouds_of(const Environment& environment,
                                                         const std::string& name, Clock& clock);

// The client of one cloud by name. Errors: the same.
Result<std::unique_ptr<Provider>> cloud_named(const Environment& environment,
                                              const std::string& name, Clock& clock);

// What all of them offer, asked at the same time. One that fails is left out and named in `errors`.
struct CloudOffers {
  std::vector<Offer> offers;
  std::vector<Error> errors;
};
CloudOffers ask_for_offers(const std::vector<std::unique_ptr<Provider>>& clouds);

}  // namespace mayfly
