// What EC2's machines cost on demand, from the Price List service (GetProducts), which is another
// service than EC2 and in one region for all.
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

}  // namespace mayfly
