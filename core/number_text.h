// A number as people read it.
#pragma once

#include <string>

namespace mayfly {

// printf's format with one %f, %e or %g in it; what is longer than 63 characters is cut off.
std::string number(const char* format, double value);

}  // namespace mayfly
