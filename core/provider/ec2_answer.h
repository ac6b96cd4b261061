// What EC2 says: XML of the Query API, version 2016-11-15, as machines, types and errors.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/http/client.h"
#include "core/provider/provider.h"
#include "core/result.h"

namespace mayfly {

// The <item>s directly in the first <set> element; items within items stay inside.
std::vector<std::string_view> xml_items(std::string_view xml, std::string_view set);

// The code of an error answer: "InsufficientInstanceCapacity"; "" if there is none.
std::string ec2_error_code(std::string_view body);
// What an answer of 400 and over means. EC2 gives a code for everything; the status says little.
Error ec2_meaning(const HttpResponse& response);
// Whether a refusal with this code holds for all of a region's offers of one market.
bool is_ec2_quota(std::string_view code);

// The machines of a DescribeInstances answer. Error: corrupt, when it is no such answer.
Result<std::vector<Instance>> read_ec2_instances(std::string_view xml);

// The types of a DescribeInstanceTypes answer that have GPUs, as offers without a place or a price.
Result<std::vector<Offer>> read_ec2_types(std::string_view xml);

struct SpotPrice {
  std::string instance_type;
  std::string zone;
  Usd per_hour;
};
// The first of each type and zone: the newest. Error: corrupt.
Result<std::vector<SpotPrice>> read_ec2_spot_prices(std::string_view xml);

// Tags that our machines carry.
constexpr const char* kEc2RunTag = "mayfly-run";
constexpr const char* kEc2AttemptTag = "mayfly-attempt";
constexpr const char* kEc2PriceTag = "mayfly-usd-per-hour";

}  // namespace mayfly
