// What nvcc made of the kernels, one entry a kernel and architecture, read from the archive of the
// build by cuobjdump (which asks nvdisasm for the instructions; both from PyPI, both need no GPU).
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

namespace mayfly::cuda {

struct MachineCode {
  int registers = 0;
  int shared_bytes = 0;
  int stack_bytes = 0;   // spills need it, so 0 is none
  int loads_of_16 = 0;   // LDG...128
  int stores_of_16 = 0;  // STG...128
  int local_accesses = 0;
  int double_instructions = 0;
};

// By kernel, as "glu: forward_kernel<Bf16, 8>", and architecture, as 80.
using MachineCodes = std::map<std::pair<std::string, int>, MachineCode>;

// "glu: forward_kernel<Bf16, 8>" of the archive's member "glu.cu.o" and the compiler's name.
std::string kernel_name(const std::string& member, const std::string& mangled);

// Adds what `cuobjdump -res-usage` prints.
void read_resources(MachineCodes& codes, const std::string& text);
// Adds what `cuobjdump -sass` prints.
void read_instructions(MachineCodes& codes, const std::string& text);

// Threads a block, as the launch chooses them for the widths of Llama-3-8B.
int threads_of(const std::string& kernel);

// Share of the threads that a multiprocessor can hold, in per cent; -1 where CUDA's own header,
// which computes it, was not there when this was compiled.
int occupancy(const MachineCode& code, int threads, int architecture);

}  // namespace mayfly::cuda
