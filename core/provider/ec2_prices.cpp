#include "core/provider/ec2_prices.h"

#include "core/json.h"
#include "core/provider/json_reading.h"

namespace mayfly {

using nlohmann::json;

namespace {

// The price in a product's one on-demand term; nullopt where that is not per hour and positive.
std::optional<Usd> on_demand(const json& product) {
  const json& terms = member(member(product, "terms"), "OnDemand");
  if (!terms.is_object()) return std::nullopt;
  for (const json& term : terms) {
    const json& dimensions = member(term, "priceDimensions");
    if (!dimensions.is_object()) continue;
    for (const json& dimension : dimensions) {
      const auto price = dollars_of(number_of(member(dimension, "pricePerUnit"), "USD"));
      if (text_at(dimension, "unit") == "Hrs" && price && price->micros > 0) return price;
    }
  }
  return std::nullopt;
}

}  // namespace

Usd gp3_gb_month(const std::string& region) {
  const bool is_cheap = region == "us-east-1" || region == "us-east-2" || region == "us-west-2";
  return Usd{is_cheap ? 80'000 : 152'000};
}

std::string price_question(const std::string& region, const std::string& next) {
  const auto filter = [](const char* field, const std::string& value) {
    return json{{"Type", "TERM_MATCH"}, {"Field", field}, {"Value", value}};
  };
  json question = {{"ServiceCode", "AmazonEC2"}, {"FormatVersion", "aws_v1"}, {"MaxResults", 100}};
  question["Filters"] =
      json::array({filter("regionCode", region), filter("instanceFamily", "GPU instance"),
                   filter("operatingSystem", "Linux"), filter("tenancy", "Shared"),
                   filter("preInstalledSw", "NA"), filter("capacitystatus", "Used")});
  if (!next.empty()) question["NextToken"] = next;
  return json_line(question);
}

Result<PricePage> read_price_page(const std::string& body) {
  const Result<json> answer = parse_json(body, "the list of prices");
  if (!answer) return answer.error();
  if (!member(*answer, "PriceList").is_array()) {
    return Error{ErrorKind::corrupt, "the list of prices has no PriceList"};
  }
  PricePage page;
  page.next = text_at(*answer, "NextToken");
  for (const json& row : list_of(*answer, "PriceList")) {
    if (!row.is_string()) continue;  // each product is JSON in a text
    const Result<json> product = parse_json(row.get_ref<const std::string&>(), "a product");
    if (!product) continue;
    const json& attributes = member(member(*product, "product"), "attributes");
    const std::string type = text_at(attributes, "instanceType");
    if (const auto price = on_demand(*product); price && !type.empty())
      page.per_hour[type] = *price;
  }
  return page;
}

}  // namespace mayfly
