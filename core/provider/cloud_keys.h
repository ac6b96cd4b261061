// What lets a program use a cloud, from an environment: key, address, regions (registry.h has the
// names of the variables). On a laptop that is the process's own environment; on a rented machine
// what was handed over.
#pragma once

#include <map>
#include <string>

#include "core/provider/cloud_api.h"
#include "core/provider/registry.h"
#include "core/result.h"
#include "core/secret.h"

namespace mayfly {

using CloudEnvironment = std::map<std::string, std::string>;

// The key is empty where there is none. Error: usage (an address that is neither https nor this
// machine: a key would travel in the clear).
Result<CloudAccess> cloud_access(const CloudRow& row, const CloudEnvironment& environment);

// The regions of AWS that are asked, with commas: AWS_REGION, AWS_DEFAULT_REGION or us-east-1.
std::string aws_regions(const CloudEnvironment& environment);

// nullptr: there is no cloud of that name.
const CloudRow* cloud_row(std::string_view name);

// Whether an address is of this machine: a rehearsal against a fake.
bool is_this_machine(const std::string& endpoint);

// The variables that a machine at this cloud needs to end itself: those with secrets, and the
// others (address, regions). Empty values are left out.
struct CloudVariables {
  std::map<std::string, Secret> secrets;
  std::map<std::string, std::string> plain;
};
CloudVariables cloud_variables(const CloudRow& row, const CloudEnvironment& environment);

}  // namespace mayfly
