// Figures as people read them, the same in plan, status and summary.
#pragma once

#include <string>

namespace mayfly {

// One double as printf writes it; `format` has one conversion, such as "%.4f".
std::string number(const char* format, double value);

// To the second, in the two largest units: "1h04m".
std::string duration(double seconds);

}  // namespace mayfly
