// What EC2's machines cost on demand, from the Price List service (GetProducts), which is another
// service than EC2 and in one region for all; and what is billed beside them.
#pragma once

#include <map>
#include <string>

#include "core/result.h"
#include "core/usd.h"

namespace mayfly {

// Asks for the machines with GPUs of one region: the body of GetProducts. `next` is the token of
// the page before, "" for the first.
std::string price_question(const std::string& region, const std::string& next);

struct PricePage {
  std::map<std::string, Usd> per_hour;  // by instance type; Linux, shared, no licence
  std::string next;                     // "" : the last one
};
// Error: corrupt. Odd rows are left out.
Result<PricePage> read_price_page(const std::string& body);

// A public IPv4 address, an hour, in every region (since February 2024; AWS's own blog on public
// IPv4 addresses).
inline constexpr Usd kEc2AddressPerHour{5'000};

// What a GB of a gp3 disk costs a month. Exact where most machines are (0.08 USD); elsewhere the
// dearest region's, São Paulo's, so that a limit is never passed. Billed by the second, a month
// being 720 hours (aws.amazon.com/ebs/pricing).
Usd gp3_gb_month(const std::string& region);

}  // namespace mayfly
