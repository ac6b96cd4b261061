#include "core/provider/ec2_answer.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <set>

#include "core/http/xml_text.h"
#include "core/provider/cloud_api.h"
#include "core/provider/gpu_name.h"
#include "core/provider/vendor_time.h"

namespace mayfly {

namespace {

constexpr std::chrono::seconds kBillingStep{1};

struct CodeRow {
  std::string_view code;
  ErrorKind kind;
};

// EC2 API reference, "Error codes"; capacity as HTTP 500: iterative/cml #814.
constexpr std::array kCodes = {
    CodeRow{"InsufficientInstanceCapacity", ErrorKind::no_capacity},
    CodeRow{"InsufficientCapacity", ErrorKind::no_capacity},
    CodeRow{"InsufficientHostCapacity", ErrorKind::no_capacity},
    CodeRow{"UnfulfillableCapacity", ErrorKind::no_capacity},
    CodeRow{"Unsupported", ErrorKind::no_capacity},  // the type is not there in this zone
    CodeRow{"SpotMaxPriceTooLow", ErrorKind::no_capacity},
    CodeRow{"VcpuLimitExceeded", ErrorKind::refused},
    CodeRow{"InstanceLimitExceeded", ErrorKind::refused},
    CodeRow{"MaxSpotInstanceCountExceeded", ErrorKind::refused},
    CodeRow{"RequestLimitExceeded", ErrorKind::rate_limited},
    CodeRow{"Throttling", ErrorKind::rate_limited},
    CodeRow{"ThrottlingException", ErrorKind::rate_limited},
    CodeRow{"EC2ThrottledException", ErrorKind::rate_limited},
    CodeRow{"AuthFailure", ErrorKind::unauthorized},
    CodeRow{"UnauthorizedOperation", ErrorKind::unauthorized},
    CodeRow{"InvalidClientTokenId", ErrorKind::unauthorized},
    CodeRow{"SignatureDoesNotMatch", ErrorKind::unauthorized},
    CodeRow{"RequestExpired", ErrorKind::unauthorized},
    CodeRow{"ExpiredToken", ErrorKind::unauthorized},
    CodeRow{"OptInRequired", ErrorKind::unauthorized},
    CodeRow{"InvalidInstanceID.NotFound", ErrorKind::not_found},
    CodeRow{"InvalidInstanceID.Malformed", ErrorKind::not_found},
    // The token was used for another request: that one may have made a machine.
    CodeRow{"IdempotentParameterMismatch", ErrorKind::outcome_unknown},
    CodeRow{"InternalError", ErrorKind::outcome_unknown},
    CodeRow{"InternalFailure", ErrorKind::outcome_unknown},
    CodeRow{"ServiceUnavailable", ErrorKind::outcome_unknown},
    CodeRow{"Unavailable", ErrorKind::outcome_unknown},
};

constexpr std::array<std::string_view, 3> kQuotas = {"VcpuLimitExceeded", "InstanceLimitExceeded",
                                                     "MaxSpotInstanceCountExceeded"};

Error no_answer(const char* of) {
  return {ErrorKind::corrupt, std::string("this is no answer to ") + of};
}

// Only the low byte counts; the rest is the vendor's own.
InstanceState state_of(std::string_view code) {
  switch (std::atoi(std::string(code).c_str()) & 0xff) {
    case 0:
      return InstanceState::pending;
    case 32:
      return InstanceState::terminating;
    case 48:
      return InstanceState::gone;
    case 64:
    case 80:
      return InstanceState::failed;  // stopped: its disk costs money, and nothing runs
    default:
      return InstanceState::running;
  }
}

std::string tag_of(std::string_view item, std::string_view key) {
  for (const std::string_view tag : xml_items(item, "tagSet")) {
    if (xml_text(tag, "key") == key) return xml_text(tag, "value");
  }
  return {};
}

Instance read_instance(std::string_view item) {
  Instance instance;
  instance.id = xml_text(item, "instanceId");
  instance.run_id = tag_of(item, kEc2RunTag);
  const auto state = xml_blocks(item, "instanceState");
  if (!state.empty()) {
    instance.state = state_of(xml_text(state.front(), "code"));
    instance.detail = xml_text(state.front(), "name");
  }
  const auto reason = xml_blocks(item, "stateReason");
  if (!reason.empty()) instance.detail += " (" + xml_text(reason.front(), "code") + ")";
  if (const auto launched = parse_vendor_time(xml_text(item, "launchTime"))) {
    instance.created_at = *launched;
  }
  if (const Result<Usd> price = parse_usd(tag_of(item, kEc2PriceTag))) {
    instance.price.per_hour = *price;
  }
  instance.price.billing_step = kBillingStep;
  instance.address = xml_text(item, "ipAddress");
  instance.ssh_user = "ubuntu";
  return instance;
}

int number_in(std::string_view xml, std::string_view element) {
  return std::max(0, std::atoi(xml_text(xml, element).c_str()));
}

}  // namespace

std::vector<std::string_view> xml_items(std::string_view xml, std::string_view set) {
  constexpr std::string_view kOpen = "<item>";
  constexpr std::string_view kClose = "</item>";
  std::vector<std::string_view> items;
  const std::string mark = "<" + std::string(set) + ">";
  auto at = xml.find(mark);
  if (at == std::string_view::npos) return items;
  at += mark.size();
  for (;;) {
    const auto start = xml.find(kOpen, at);
    const auto over = xml.find("</" + std::string(set) + ">", at);
    if (start == std::string_view::npos || over < start) return items;
    auto end = start + kOpen.size();
    for (int depth = 1; depth > 0;) {
      const auto close = xml.find(kClose, end);
      if (close == std::string_view::npos) return items;
      const auto open = xml.find(kOpen, end);
      depth += open < close ? 1 : -1;
      end = open < close ? open + kOpen.size() : close + kClose.size();
    }
    const auto inside = start + kOpen.size();
    items.push_back(xml.substr(inside, end - kClose.size() - inside));
    at = end;
  }
}

std::string ec2_error_code(std::string_view body) {
  return xml_text(body, "Code");
}

bool is_ec2_quota(std::string_view code) {
  return std::find(kQuotas.begin(), kQuotas.end(), code) != kQuotas.end();
}

Error ec2_meaning(const HttpResponse& response) {
  const std::string code = ec2_error_code(response.body);
  std::string text = xml_text(response.body, "Message");
  if (text.empty()) text = excerpt(response.body);
  Error error{kind_of_status(response.status),
              std::to_string(response.status) + (code.empty() ? "" : " " + code) + ": " + text};
  for (const CodeRow& row : kCodes) {
    if (code == row.code) error.kind = row.kind;
  }
  if (error.kind == ErrorKind::unauthorized) {
    error.hint = code == "RequestExpired"
                     ? "this machine's clock is wrong"
                     : "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and what they may do";
  } else if (is_ec2_quota(code)) {
    error.hint =
        "ask AWS for a higher quota in this region; spot and on-demand have their own, "
        "and new accounts have none for GPUs";
  }
  return error;
}

Result<std::vector<Instance>> read_ec2_instances(std::string_view xml) {
  if (xml.find("<DescribeInstancesResponse") == std::string_view::npos ||
      xml.find("</DescribeInstancesResponse>") == std::string_view::npos) {
    return no_answer("DescribeInstances");
  }
  std::vector<Instance> instances;
  for (const std::string_view reservation : xml_items(xml, "reservationSet")) {
    for (const std::string_view item : xml_items(reservation, "instancesSet")) {
      Instance instance = read_instance(item);
      if (instance.id.empty()) return no_answer("DescribeInstances: an instance has no id");
      instances.push_back(std::move(instance));
    }
  }
  return instances;
}

Result<std::vector<Offer>> read_ec2_types(std::string_view xml) {
  if (xml.find("<DescribeInstanceTypesResponse") == std::string_view::npos) {
    return no_answer("DescribeInstanceTypes");
  }
  constexpr int kMib = 1024;
  std::vector<Offer> types;
  for (const std::string_view item : xml_items(xml, "instanceTypeSet")) {
    const auto gpus = xml_items(item, "gpus");
    if (gpus.empty()) continue;
    Offer type;
    type.provider = "aws";
    type.cloud = "aws";
    type.instance_type = xml_text(item, "instanceType");
    type.gpu = gpu_model(xml_text(gpus.front(), "name"));
    type.gpu_count = number_in(gpus.front(), "count");
    type.vram_gb = (number_in(gpus.front(), "sizeInMiB") + kMib / 2) / kMib;
    type.vcpus = number_in(item, "defaultVCpus");
    const auto memory = xml_blocks(item, "memoryInfo");
    // The GPUs have a block of that name as well, before or after the machine's own.
    for (const std::string_view block : memory) {
      type.memory_gb = std::max(type.memory_gb, number_in(block, "sizeInMiB") / kMib);
    }
    types.push_back(std::move(type));
  }
  return types;
}

Result<std::vector<SpotPrice>> read_ec2_spot_prices(std::string_view xml) {
  if (xml.find("<DescribeSpotPriceHistoryResponse") == std::string_view::npos) {
    return no_answer("DescribeSpotPriceHistory");
  }
  std::vector<SpotPrice> prices;
  std::set<std::pair<std::string, std::string>> seen;
  for (const std::string_view item : xml_items(xml, "spotPriceHistorySet")) {
    const Result<Usd> price = parse_usd(xml_text(item, "spotPrice"));
    SpotPrice row{xml_text(item, "instanceType"), xml_text(item, "availabilityZone"), {}};
    if (!price || !seen.emplace(row.instance_type, row.zone).second) continue;
    row.per_hour = *price;
    prices.push_back(std::move(row));
  }
  return prices;
}

}  // namespace mayfly
