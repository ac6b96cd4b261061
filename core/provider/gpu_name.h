// One word for each kind of GPU, whatever a vendor or a person calls it: "NVIDIA H100 80GB HBM3",
// "H100_sxm5", "h100" and "H100 (80 GB SXM5)" are all "H100".
#pragma once

#include <string>
#include <string_view>

namespace mayfly {

// In capitals; "RTX4090" in one word. A name that is not known comes back in capitals with spaces
// taken out, so that it can still be compared. "" for "".
std::string gpu_model(std::string_view name);

// The memory that stands in a description, "H100 (80 GB SXM5)"; 0 if there is none.
int memory_in_name_gb(std::string_view name);

}  // namespace mayfly
