// What the device's compiler made of each kernel on each architecture, against cuda/compiled.tsv:
// no spill, no local memory, not more registers than recorded, 16 bytes an access where that is
// meant. Skipped where there is no nvcc. After a change that is meant to change it:
//   MAYFLY_WRITE=1 build/cuda/bin/kernel_compiled_tests
#include <array>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <set>
#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/cuda/compiled/machine_code.h"

namespace mayfly::cuda {
namespace {

constexpr std::array kArchitectures = {75, 80, 86, 89, 90, 100, 120};
const std::string kRecord = MAYFLY_SOURCE_DIR "/cuda/compiled.tsv";
const std::string kHead =
    "# Per architecture: registers, occupancy in %, loads and stores of 16 bytes. nvcc 13.0.88.";

std::string output_of(const std::string& command) {
  std::FILE* const pipe = popen(command.c_str(), "r");
  std::string text;
  std::array<char, 65536> chunk;
  for (std::size_t got;
       pipe != nullptr && (got = fread(chunk.data(), 1, chunk.size(), pipe)) > 0;) {
    text.append(chunk.data(), got);
  }
  return pipe != nullptr && pclose(pipe) == 0 ? text : "";
}

// One reading of the archive for all tests of a process.
const MachineCodes& machine_codes() {
  static const MachineCodes codes = [] {
    MachineCodes all;
    const std::string tool = "PATH=\"" MAYFLY_CUDA_TOOLS ":$PATH\" cuobjdump ";
    read_resources(all, output_of(tool + "-res-usage " MAYFLY_KERNEL_ARCHIVE));
    read_instructions(all, output_of(tool + "-sass " MAYFLY_KERNEL_ARCHIVE));
    return all;
  }();
  return codes;
}

std::set<std::string> kernels_of(const MachineCodes& codes) {
  std::set<std::string> kernels;
  for (const auto& [key, code] : codes) kernels.insert(key.first);
  return kernels;
}

std::string table_of(const MachineCodes& codes) {
  std::string table = kHead + "\nkernel\tthreads\tshared";
  for (const int architecture : kArchitectures) table += "\tsm_" + std::to_string(architecture);
  table += "\n";
  for (const std::string& kernel : kernels_of(codes)) {
    const int threads = threads_of(kernel);
    table += kernel + "\t" + std::to_string(threads) + "\t" +
             std::to_string(codes.at({kernel, kArchitectures[0]}).shared_bytes);
    for (const int architecture : kArchitectures) {
      const MachineCode& code = codes.at({kernel, architecture});
      table += "\t" + std::to_string(code.registers) + " " +
               std::to_string(occupancy(code, threads, architecture)) + " " +
               std::to_string(code.loads_of_16) + " " + std::to_string(code.stores_of_16);
    }
    table += "\n";
  }
  return table;
}

struct Recorded {
  int registers, occupancy, loads, stores;
};

std::map<std::pair<std::string, int>, Recorded> recorded() {
  std::map<std::pair<std::string, int>, Recorded> all;
  std::ifstream in(kRecord);
  std::string line;
  std::getline(in, line);
  std::getline(in, line);
  while (std::getline(in, line)) {
    std::istringstream cells(line);
    std::string kernel, cell;
    std::getline(cells, kernel, '\t');
    for (int skipped = 0; skipped < 2; ++skipped) std::getline(cells, cell, '\t');
    for (const int architecture : kArchitectures) {
      std::getline(cells, cell, '\t');
      std::istringstream numbers(cell);
      Recorded& one = all[{kernel, architecture}];
      numbers >> one.registers >> one.occupancy >> one.loads >> one.stores;
    }
  }
  return all;
}

class CompiledTest : public testing::Test {
 protected:
  void SetUp() override {
    if (std::string(MAYFLY_KERNEL_ARCHIVE).empty()) GTEST_SKIP() << "built without nvcc";
    if (machine_codes().empty()) GTEST_SKIP() << "no cuobjdump in " MAYFLY_CUDA_TOOLS;
  }
};

TEST_F(CompiledTest, EveryKernelIsThereForEveryArchitecture) {
  if (std::getenv("MAYFLY_WRITE") != nullptr) std::ofstream(kRecord) << table_of(machine_codes());
  std::vector<std::string> wrong;
  std::set<std::string> kernels = kernels_of(machine_codes());
  for (const auto& [key, row] : recorded()) kernels.insert(key.first);
  for (const std::string& kernel : kernels) {
    for (const int architecture : kArchitectures) {
      const std::string where = kernel + " sm_" + std::to_string(architecture);
      if (!machine_codes().contains({kernel, architecture})) wrong.push_back(where + ": no code");
      if (!recorded().contains({kernel, architecture})) wrong.push_back(where + ": no record");
    }
  }
  EXPECT_THAT(wrong, testing::IsEmpty());
}

TEST_F(CompiledTest, NothingSpillsOrUsesLocalMemoryOrDoubles) {
  std::vector<std::string> wrong;
  for (const auto& [key, code] : machine_codes()) {
    if (code.stack_bytes + code.local_accesses + code.double_instructions > 0) {
      wrong.push_back(key.first + " sm_" + std::to_string(key.second));
    }
  }
  EXPECT_THAT(wrong, testing::IsEmpty());
}

TEST_F(CompiledTest, NoKernelNeedsMoreThanIsRecorded) {
  std::vector<std::string> wrong;
  const auto all = recorded();
  for (const auto& [key, code] : machine_codes()) {
    const auto found = all.find(key);
    if (found == all.end()) continue;
    const Recorded& record = found->second;
    const int now = occupancy(code, threads_of(key.first), key.second);
    if (code.registers > record.registers || now < record.occupancy ||
        (record.loads > 0 && code.loads_of_16 == 0) ||
        (record.stores > 0 && code.stores_of_16 == 0)) {
      wrong.push_back(key.first + " sm_" + std::to_string(key.second) + ": " +
                      std::to_string(code.registers) + " registers, " + std::to_string(now) +
                      " % of the threads, " + std::to_string(code.loads_of_16) + " loads and " +
                      std::to_string(code.stores_of_16) + " stores of 16 bytes");
    }
  }
  EXPECT_THAT(wrong, testing::IsEmpty());
}

// The kernels on which a step's time hangs: 16 bytes an access, whatever the record says.
TEST_F(CompiledTest, BulkGoesSixteenBytesAtATime) {
  for (const std::string kernel :
       {"rms_norm: norm_kernel<Bf16>", "rms_norm: backward_kernel<Bf16>",
        "glu: forward_kernel<Bf16, 8>", "glu: backward_kernel<Bf16, 8>",
        "rope: rope_kernel<Bf16, 8>", "qk_norm_rope: packs_kernel<Bf16, false>",
        "qk_norm_rope: packs_kernel<Bf16, true>", "cross_entropy: row_kernel<Bf16, 8>",
        "nf4: dequantize_kernel<Bf16, 8>"}) {
    for (const int architecture : kArchitectures) {
      ASSERT_TRUE(machine_codes().contains({kernel, architecture})) << kernel;
      const MachineCode& code = machine_codes().at({kernel, architecture});
      EXPECT_GT(code.stores_of_16, 0) << kernel << " sm_" << architecture;
      if (!kernel.starts_with("nf4")) {  // reads four bytes for each sixteen that it writes
        EXPECT_GT(code.loads_of_16, 0) << kernel << " sm_" << architecture;
      }
    }
  }
}

// ---- the reader itself, everywhere

TEST(MachineCodeTest, ReadsResourcesAndInstructions) {
  MachineCodes codes;
  read_resources(codes,
                 "member /x/lib.a:glu.cu.o:\n"
                 "arch = sm_80\n"
                 " Function _ZN6mayfly4cuda4workINS0_4Bf16ELi8EEEvPT_:\n"
                 "  REG:37 STACK:8 SHARED:128 LOCAL:0 CONSTANT[0]:424\n");
  read_instructions(codes,
                    "member /x/lib.a:glu.cu.o:\n"
                    "arch = sm_80\n"
                    "\t\tFunction : _ZN6mayfly4cuda4workINS0_4Bf16ELi8EEEvPT_\n"
                    "        /*0180*/   LDG.E.128 R4, [R12.64] ;   /* 0x000000040c047981 */\n"
                    "        /*0190*/   @!P0 STG.E.128 [R4.64], R8 ;   /* 0x0 */\n"
                    "        /*01a0*/   LDG.E R4, [R12.64] ;   /* 0x0 */\n"
                    "        /*01b0*/   STL [R1], R8 ;   /* 0x0 */\n"
                    "        /*01c0*/   DFMA R2, R4, R6, R8 ;   /* 0x0 */\n");
  ASSERT_EQ(codes.size(), 1u);
  const auto& [key, code] = *codes.begin();
  EXPECT_EQ(key.first, "glu: work<Bf16, 8>");
  EXPECT_EQ(key.second, 80);
  EXPECT_EQ(code.registers, 37);
  EXPECT_EQ(code.shared_bytes, 128);
  EXPECT_EQ(code.stack_bytes, 8);
  EXPECT_EQ(code.loads_of_16, 1);
  EXPECT_EQ(code.stores_of_16, 1);
  EXPECT_EQ(code.local_accesses, 1);
  EXPECT_EQ(code.double_instructions, 1);
}

}  // namespace
}  // namespace mayfly::cuda
