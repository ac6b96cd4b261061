// Runs the NF4 kernels on the emulator over a file of numbers, for compare.py:
//   kernel_nf4 bf16|fp16|fp32 FOLDER
// reads from the folder `weights`, `scales` (the offset and the 256 codes to quantise the weights'
// scales with), and `given_quantized`, `given_scale` (scales that another has quantised); writes
// packed, absmax, mean, quantized, scale, code (our own table) and weight (restored from packed and
// the given scales). All raw. Exit code 0 or 2.
#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>

#include "cuda/nf4.h"
#include "tests/cuda/device_array.h"

namespace mayfly::cuda {
namespace {

template <class T>
std::vector<T> read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(in), {}};
  std::vector<T> numbers(bytes.size() / sizeof(T));
  bytes.copy(reinterpret_cast<char*>(numbers.data()), numbers.size() * sizeof(T));
  return numbers;
}

template <class T>
void write_file(const std::string& path, const DeviceArray<T>& array) {
  const std::vector<T> numbers = array.read();
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(numbers.data()),
             static_cast<std::streamsize>(numbers.size() * sizeof(T)));
}

template <class T>
bool run(const std::string& folder) {
  const std::vector<T> weight = read_file<T>(folder + "/weights");
  const auto count = static_cast<std::int64_t>(weight.size());
  const std::int64_t blocks = (count + kNf4Block - 1) / kNf4Block;
  const std::array<float, 256> our_code = nf4_scale_code();
  std::vector<float> given = read_file<float>(folder + "/scales");
  if (given.size() != 1 + our_code.size()) return false;
  const DeviceArray<T> there(weight), restored(weight.size());
  const DeviceArray<std::uint8_t> packed((weight.size() + 1) / 2);
  const DeviceArray<std::uint8_t> quantized(static_cast<std::size_t>(blocks));
  const DeviceArray<float> absmax(static_cast<std::size_t>(blocks)), mean(1);
  const DeviceArray<float> scale(
      static_cast<std::size_t>((blocks + kNf4ScaleBlock - 1) / kNf4ScaleBlock));
  const DeviceArray<float> offset(std::vector<float>{given[0]});
  const DeviceArray<float> codes(std::vector<float>(given.begin() + 1, given.end()));
  const DeviceArray<std::uint8_t> given_quantized(
      read_file<std::uint8_t>(folder + "/given_quantized"));
  const DeviceArray<float> given_scale(read_file<float>(folder + "/given_scale"));
  const Nf4Scales scales{nullptr, given_quantized.data(), given_scale.data(), codes.data(),
                         offset.data()};
  if (nf4_quantize(packed.data(), absmax.data(), there.data(), count, nullptr) != kSuccess ||
      nf4_mean(mean.data(), absmax.data(), blocks, nullptr) != kSuccess ||
      nf4_quantize_scales(quantized.data(), scale.data(), absmax.data(), codes.data(),
                          offset.data(), blocks, nullptr) != kSuccess ||
      nf4_dequantize(restored.data(), packed.data(), scales, count, kNf4Block, nullptr) !=
          kSuccess) {
    return false;
  }
  write_file(folder + "/packed", packed);
  write_file(folder + "/absmax", absmax);
  write_file(folder + "/mean", mean);
  write_file(folder + "/quantized", quantized);
  write_file(folder + "/scale", scale);
  write_file(folder + "/code",
             DeviceArray<float>(std::vector<float>(our_code.begin(), our_code.end())));
  write_file(folder + "/weight", restored);
  return true;
}

}  // namespace
}  // namespace mayfly::cuda

int main(int argc, char** argv) {
  using namespace mayfly::cuda;
  if (argc != 3) {
    std::fputs("usage: kernel_nf4 bf16|fp16|fp32 FOLDER\n", stderr);
    return 2;
  }
  const std::string type = argv[1];
  const bool done = type == "bf16"   ? run<Bf16>(argv[2])
                    : type == "fp16" ? run<Fp16>(argv[2])
                                     : run<float>(argv[2]);
  return done ? 0 : 2;
}
