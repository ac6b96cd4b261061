#include "core/provider/ec2.h"

#include <algorithm>
#include <utility>

#include "core/base64.h"
#include "core/http/xml_text.h"
#include "core/log.h"
#include "core/provider/ec2_answer.h"
#include "core/provider/ec2_prices.h"
#include "core/provider/offer_choice.h"
#include "core/sha256.h"
#include "core/url.h"

namespace mayfly {

using namespace std::chrono_literals;

namespace {

constexpr std::size_t kUserDataMostBytes = 16384;  // before encoding; EC2 User Guide
constexpr std::chrono::seconds kBillingStep = 1s;
constexpr int kImageGb = 65;  // what a disk must hold at least; AWS refuses smaller ones
constexpr int kDiskGb = 150;  // beside the image a 7B model and its checkpoints take 40
// AWS's own images with driver and CUDA; the owner is Amazon.
constexpr const char* kImageOwner = "898082745236";
constexpr const char* kImageName = "Deep Learning Base OSS Nvidia Driver GPU AMI (Ubuntu 22.04) *";
constexpr const char* kPriceHost = "https://api.pricing.us-east-1.amazonaws.com";

// In order, each once.
std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> words;
  std::string word;
  for (const char letter : text + ",") {
    if (letter != ',') {
      word += letter;
    } else if (const std::string whole = std::exchange(word, "");
               !whole.empty() && std::find(words.begin(), words.end(), whole) == words.end()) {
      words.push_back(whole);
    }
  }
  return words;
}

std::string form(const std::vector<std::pair<std::string, std::string>>& fields) {
  std::string text;
  for (const auto& [name, value] : fields) {
    text += (text.empty() ? "" : "&") + percent_encode(name) + "=" + percent_encode(value);
  }
  return text;
}

const std::vector<HttpHeader>& form_headers() {
  static const std::vector<HttpHeader> headers = {
      {"Content-Type", "application/x-www-form-urlencoded; charset=utf-8"}};
  return headers;
}

}  // namespace

Ec2Provider::Ec2Provider(std::unique_ptr<HttpClient> http, Clock& clock, const CloudAccess& access,
                         const ApiPatience& patience)
    : clock_(clock),
      access_(access),
      regions_(split(access.regions)),
      api_(std::move(http), clock, parts(patience)) {}

CloudApi::Parts Ec2Provider::parts(const ApiPatience& patience) {
  CloudApi::Parts parts;
  parts.vendor = "AWS";
  parts.authorize = [this](HttpRequest& request) {
    sign_v4(request, {access_.key_id, access_.key, access_.session_token}, scope_, clock_.now(),
            sha256_hex(request.body));
  };
  parts.meaning = ec2_meaning;
  parts.patience = patience;
  return parts;
}

std::string Ec2Provider::url(const std::string& region) const {
  constexpr std::string_view kMark = "{region}";
  std::string url = access_.endpoint;
  const auto at = url.find(kMark);
  if (at != std::string::npos) url.replace(at, kMark.size(), region);
  return url + "/";
}

Result<std::string> Ec2Provider::ask(const std::string& region, const std::string& action,
                                     const Fields& fields) {
  Fields all = {{"Action", action}, {"Version", "2016-11-15"}};
  all.insert(all.end(), fields.begin(), fields.end());
  scope_ = {region, "ec2"};
  Result<std::string> answer = api_.repeat("POST", url(region), form(all), form_headers());
  if (!answer) return while_doing(action, answer.error());
  return answer;
}

Result<std::map<std::string, Usd>> Ec2Provider::on_demand_prices(const std::string& region) {
  const bool real = access_.endpoint.find("amazonaws.com") != std::string::npos;
  const std::string where = (real ? kPriceHost : access_.endpoint) + std::string("/");
  std::map<std::string, Usd> prices;
  std::string next;
  constexpr int kMostPages = 50;
  for (int page = 0; page < kMostPages; ++page) {
    scope_ = {"us-east-1", "pricing"};
    const Result<std::string> body =
        api_.repeat("POST", where, price_question(region, next),
                    {{"Content-Type", "application/x-amz-json-1.1"},
                     {"X-Amz-Target", "AWSPriceListService.GetProducts"}});
    if (!body) return body.error();
    Result<PricePage> read = read_price_page(*body);
    if (!read) return read.error();
    prices.merge(read->per_hour);
    next = read->next;
    if (next.empty()) break;
  }
  return prices;
}

Status Ec2Provider::add_offers(const std::string& region, std::vector<Offer>& offers) {
  std::vector<Offer> types;
  Fields fields = {
      {"Filter.1.Name", "instance-type"}, {"Filter.1.Value.1", "g*"}, {"Filter.1.Value.2", "p*"}};
  for (std::string next = "first"; !next.empty();) {
    const Result<std::string> page = ask(region, "DescribeInstanceTypes", fields);
    if (!page) return page.error();
    const Result<std::vector<Offer>> read = read_ec2_types(*page);
    if (!read) return read.error();
    types.insert(types.end(), read->begin(), read->end());
    next = xml_text(*page, "nextToken");
    if (fields.back().first == "NextToken") fields.pop_back();
    fields.emplace_back("NextToken", next);
  }
  if (types.empty()) return Unit{};

  Fields question = {{"ProductDescription.1", "Linux/UNIX"},
                     {"StartTime", format_utc(clock_.now())}};
  for (std::size_t i = 0; i < types.size(); ++i) {
    question.emplace_back("InstanceType." + std::to_string(i + 1), types[i].instance_type);
  }
  const Result<std::string> history = ask(region, "DescribeSpotPriceHistory", question);
  if (!history) return history.error();
  const Result<std::vector<SpotPrice>> spot = read_ec2_spot_prices(*history);
  if (!spot) return spot.error();
  const auto on_demand = on_demand_prices(region);
  if (!on_demand) log_warn("no on-demand prices of AWS: " + on_demand.error().message);

  const auto add = [&](Offer offer, Usd machine) {
    offer.price = {Usd{machine.micros + kEc2AddressPerHour.micros}, kBillingStep};
    offer.image_gb = kImageGb;
    offer.disk_gb_month = gp3_gb_month(region);
    offers.push_back(with_disk(std::move(offer), kDiskGb));
  };
  for (Offer& offer : types) {
    offer.region = region;
    if (on_demand && on_demand->count(offer.instance_type) != 0) {
      add(offer, on_demand->at(offer.instance_type));
    }
    for (const SpotPrice& price : *spot) {
      if (price.instance_type != offer.instance_type) continue;
      Offer in_zone = offer;
      in_zone.zone = price.zone;
      in_zone.spot = true;
      add(std::move(in_zone), price.per_hour);
    }
  }
  return Unit{};
}

Result<std::vector<Offer>> Ec2Provider::offers() {
  std::vector<Offer> offers;
  for (const std::string& region : regions_) {
    const Status added = add_offers(region, offers);
    if (!added) return while_doing("region " + region, added.error());
  }
  return offers;
}

// The newest of AWS's own images for GPUs.
Result<std::string> Ec2Provider::image_in(const std::string& region) {
  if (const auto known = images_.find(region); known != images_.end()) return known->second;
  const Result<std::string> answer = ask(region, "DescribeImages",
                                         {{"Owner.1", kImageOwner},
                                          {"Filter.1.Name", "name"},
                                          {"Filter.1.Value.1", kImageName},
                                          {"Filter.2.Name", "state"},
                                          {"Filter.2.Value.1", "available"}});
  if (!answer) return answer.error();
  std::string newest, image;
  for (const std::string_view item : xml_items(*answer, "imagesSet")) {
    const std::string created = xml_text(item, "creationDate");
    if (created < newest) continue;
    newest = created;
    image = xml_text(item, "imageId");
  }
  if (image.empty()) {
    return Error{ErrorKind::not_found, "there is no image with GPU driver in " + region};
  }
  images_[region] = image;
  return image;
}

// The name holds the key's own hash: a name that is taken is taken by the same key.
Result<std::string> Ec2Provider::key_in(const std::string& region, const std::string& public_key) {
  if (public_key.empty()) return std::string();
  const std::string name = "mayfly-" + sha256_hex(key_material(public_key)).substr(0, 12);
  const Result<std::string> added =
      ask(region, "ImportKeyPair",
          {{"KeyName", name}, {"PublicKeyMaterial", base64_encode(public_key)}});
  if (added || added.error().message.find("InvalidKeyPair.Duplicate") != std::string::npos) {
    return name;
  }
  return added.error();
}

Result<Ec2Provider::Fields> Ec2Provider::create_fields(const InstanceSpec& spec) {
  const Offer& offer = spec.offer;
  const Result<std::string> image = image_in(offer.region);
  if (!image) return image.error();
  const Result<std::string> key = key_in(offer.region, spec.ssh_public_key);
  if (!key) return key.error();
  Fields fields = {
      {"Action", "RunInstances"},
      {"Version", "2016-11-15"},
      {"ImageId", *image},
      {"InstanceType", offer.instance_type},
      {"MinCount", "1"},
      {"MaxCount", "1"},
      {"InstanceInitiatedShutdownBehavior", "terminate"},
      {"MetadataOptions.HttpTokens", "required"},
      {"MetadataOptions.HttpPutResponseHopLimit", "2"},
      {"MetadataOptions.HttpEndpoint", "enabled"},
      {"MetadataOptions.InstanceMetadataTags", "enabled"},
      {"BlockDeviceMapping.1.DeviceName", "/dev/sda1"},
      {"BlockDeviceMapping.1.Ebs.VolumeSize", std::to_string(std::max(offer.disk_gb, kImageGb))},
      {"BlockDeviceMapping.1.Ebs.VolumeType", "gp3"},
      {"BlockDeviceMapping.1.Ebs.DeleteOnTermination", "true"}};
  if (!key->empty()) fields.emplace_back("KeyName", *key);
  if (!spec.user_data.empty()) fields.emplace_back("UserData", base64_encode(spec.user_data));
  if (!offer.zone.empty()) fields.emplace_back("Placement.AvailabilityZone", offer.zone);
  if (offer.spot) {
    fields.emplace_back("InstanceMarketOptions.MarketType", "spot");
    fields.emplace_back("InstanceMarketOptions.SpotOptions.SpotInstanceType", "one-time");
    fields.emplace_back("InstanceMarketOptions.SpotOptions.InstanceInterruptionBehavior",
                        "terminate");
  }
  const Fields tags = {{"Name", machine_name(spec)},
                       {kEc2RunTag, spec.run_id},
                       {kEc2AttemptTag, std::to_string(spec.attempt)},
                       {kEc2PriceTag, usd_decimal(offer.price.per_hour)}};
  int resource = 0;
  for (const char* type : {"instance", "volume"}) {
    const std::string start = "TagSpecification." + std::to_string(++resource);
    fields.emplace_back(start + ".ResourceType", type);
    for (std::size_t i = 0; i < tags.size(); ++i) {
      const std::string tag = start + ".Tag." + std::to_string(i + 1);
      fields.emplace_back(tag + ".Key", tags[i].first);
      fields.emplace_back(tag + ".Value", tags[i].second);
    }
  }
  // Another wish is another token, so that a fall-back is never taken for a repetition.
  fields.emplace_back("ClientToken", sha256_hex(form(fields)));
  return fields;
}

CreateOutcome Ec2Provider::create(const InstanceSpec& spec) {
  if (spec.user_data.size() > kUserDataMostBytes) {
    return failed_outcome({ErrorKind::refused, "the user data is longer than 16 KB"});
  }
  const Result<Fields> fields = create_fields(spec);
  if (!fields) {
    // Nothing was asked that costs money.
    Error error = while_doing("preparing image and key", fields.error());
    if (error.kind == ErrorKind::corrupt) error.kind = ErrorKind::refused;
    return failed_outcome(error);
  }
  scope_ = {spec.offer.region, "ec2"};
  const ChangeAnswer answer = api_.change(url(spec.offer.region), form(*fields), form_headers());
  if (!answer.response) {
    CreateOutcome outcome = failed_outcome(answer.response.error(), answer.ask_again_after);
    outcome.region_too =
        outcome.kind == CreateOutcome::Kind::refused && is_ec2_quota(ec2_error_code(answer.body));
    return outcome;
  }
  const std::string& body = answer.response->body;
  const bool whole = body.find("<RunInstancesResponse") != std::string::npos;
  const std::string id = whole ? xml_text(body, "instanceId") : std::string();
  if (id.empty()) {
    return failed_outcome({ErrorKind::outcome_unknown, "AWS's answer to RunInstances has no id"});
  }
  seen_[id] = spec.offer.region;
  return made_outcome(id);
}

Result<std::vector<Instance>> Ec2Provider::described(const std::string& region,
                                                     const Fields& filter) {
  std::vector<Instance> instances;
  Fields fields = filter;
  for (std::string next = "first"; !next.empty();) {
    const Result<std::string> page = ask(region, "DescribeInstances", fields);
    if (!page) return page.error();
    const Result<std::vector<Instance>> read = read_ec2_instances(*page);
    if (!read) return read.error();
    for (const Instance& instance : *read) {
      seen_[instance.id] = region;
      instances.push_back(instance);
    }
    next = xml_text(*page, "nextToken");
    if (fields.size() > filter.size()) fields.pop_back();
    fields.emplace_back("NextToken", next);
  }
  return instances;
}

Result<std::vector<Instance>> Ec2Provider::described_everywhere(const Fields& filter) {
  std::vector<Instance> all;
  for (const std::string& region : regions_) {
    const Result<std::vector<Instance>> some = described(region, filter);
    if (!some) return while_doing("region " + region, some.error());
    all.insert(all.end(), some->begin(), some->end());
  }
  std::erase_if(all, [](const Instance& instance) {
    return instance.run_id.empty() || instance.state == InstanceState::gone;
  });
  return all;
}

Result<std::vector<Instance>> Ec2Provider::list_ours() {
  return described_everywhere({{"Filter.1.Name", "tag-key"}, {"Filter.1.Value.1", kEc2RunTag}});
}

Result<std::vector<Instance>> Ec2Provider::find_run(const std::string& run_id) {
  return described_everywhere(
      {{"Filter.1.Name", std::string("tag:") + kEc2RunTag}, {"Filter.1.Value.1", run_id}});
}

std::vector<std::string> Ec2Provider::regions_of(const InstanceId& id) const {
  const auto known = seen_.find(id);
  return known == seen_.end() ? regions_ : std::vector<std::string>{known->second};
}

Result<Instance> Ec2Provider::get(const InstanceId& id) {
  for (const std::string& region : regions_of(id)) {
    const auto found = described(region, {{"InstanceId.1", id}});
    if (!found && found.error().kind != ErrorKind::not_found) return found.error();
    if (!found) continue;
    for (const Instance& instance : *found) {
      if (instance.id == id) return instance;
    }
  }
  return Error{ErrorKind::not_found, "AWS does not list instance " + id};
}

Status Ec2Provider::terminate(const InstanceId& id) {
  Error last{ErrorKind::not_found, "AWS does not list instance " + id};
  for (const std::string& region : regions_of(id)) {
    const Result<std::string> asked = ask(region, "TerminateInstances", {{"InstanceId.1", id}});
    if (asked) return Unit{};
    if (asked.error().kind != ErrorKind::not_found) return asked.error();
    last = asked.error();
  }
  return last;
}

ProviderTraits Ec2Provider::traits() const {
  ProviderTraits traits;
  traits.power_off_ends_billing = true;
  traits.same_create_is_safe = true;
  traits.absence_is_proof = false;
  traits.second_look = 10s;
  traits.console_url = "https://console.aws.amazon.com/ec2/home#Instances";
  return traits;
}

Result<ServerLimits> Ec2Provider::limits_of(const InstanceId& id) {
  ServerLimits limits;
  for (const std::string& region : regions_of(id)) {
    const Result<std::string> answer =
        ask(region, "DescribeInstanceAttribute",
            {{"InstanceId", id}, {"Attribute", "instanceInitiatedShutdownBehavior"}});
    if (!answer && answer.error().kind == ErrorKind::not_found) continue;
    if (!answer) return answer.error();
    const auto block = xml_blocks(*answer, "instanceInitiatedShutdownBehavior");
    limits.power_off_ends_billing =
        !block.empty() && xml_text(block.front(), "value") == "terminate";
    return limits;
  }
  return Error{ErrorKind::not_found, "AWS does not list instance " + id};
}

}  // namespace mayfly
