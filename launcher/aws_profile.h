// The key and region that AWS's own tools keep on a laptop: ~/.aws/credentials and ~/.aws/config.
//
// Source: "Configuration and credential file settings" of the AWS command line's user guide; as
// botocore's configparser reads them, a value is the whole rest of its line.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "core/config/environment.h"
#include "core/result.h"

namespace mayfly {

// What one section, [name], says: key -> value. Lines that are none (a nested setting, a comment)
// are left out; of a key that is given twice the last one holds.
std::map<std::string, std::string> aws_section(std::string_view text, std::string_view name);

// Fills in what is unset of AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN (all
// three or none) and AWS_DEFAULT_REGION, from the profile that AWS_PROFILE names, or "default". The
// files are where AWS_SHARED_CREDENTIALS_FILE and AWS_CONFIG_FILE say, else under HOME. Errors:
// refused (a file that cannot be read), not_found (AWS_PROFILE names one that is in neither file),
// unsupported (its key comes from a sign-on, a role or a program, none of which is asked here).
Result<Environment> with_aws_profile(Environment environment);

}  // namespace mayfly
