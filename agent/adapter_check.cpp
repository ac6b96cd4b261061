#include "agent/adapter_check.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <vector>

#include <fcntl.h>

#include "core/descriptor.h"
#include "core/model/safetensors.h"

namespace mayfly {

namespace {

constexpr std::size_t kBlockBytes = 1 << 20;  // a multiple of every element's size

// The bits that are all set in infinities and in numbers that are none (IEEE 754; bfloat16 is the
// upper half of a float). F8_E4M3 has no infinity, and one bit pattern that is no number.
template <class Word>
std::int64_t count_set(const char* bytes, std::size_t size, Word exponent) {
  std::int64_t count = 0;
  for (std::size_t at = 0; at + sizeof(Word) <= size; at += sizeof(Word)) {
    Word word;
    std::memcpy(&word, bytes + at, sizeof word);
    count += (word & exponent) == exponent ? 1 : 0;
  }
  return count;
}

std::int64_t not_finite(TensorType type, const char* bytes, std::size_t size) {
  switch (type) {
    case TensorType::f64:
      return count_set<std::uint64_t>(bytes, size, 0x7ff0'0000'0000'0000U);
    case TensorType::f32:
      return count_set<std::uint32_t>(bytes, size, 0x7f80'0000U);
    case TensorType::f16:
      return count_set<std::uint16_t>(bytes, size, 0x7c00U);
    case TensorType::bf16:
      return count_set<std::uint16_t>(bytes, size, 0x7f80U);
    case TensorType::f8_e5m2:
      return count_set<std::uint8_t>(bytes, size, 0x7cU);
    case TensorType::f8_e4m3:
      return count_set<std::uint8_t>(bytes, size, 0x7fU);
    default:
      return 0;
  }
}

// nullopt: it ends before the tensor does.
std::optional<std::int64_t> not_finite(int file, const TensorPlace& place, std::string& block) {
  std::int64_t count = 0;
  for (std::uint64_t at = place.begin; at < place.end;) {
    const auto wanted =
        static_cast<std::size_t>(std::min<std::uint64_t>(kBlockBytes, place.end - at));
    block.resize(wanted);
    std::size_t have = 0;
    while (have < wanted) {
      const ssize_t more =
          ::pread(file, block.data() + have, wanted - have, static_cast<off_t>(at + have));
      if (more <= 0) return std::nullopt;
      have += static_cast<std::size_t>(more);
    }
    count += not_finite(place.type, block.data(), wanted);
    at += wanted;
  }
  return count;
}

std::string flag_of(const std::filesystem::path& path) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (file.get() < 0) return std::string("unreadable: ") + std::strerror(errno);
  const auto places = read_tensor_places(file.get(), path.filename().string());
  if (!places) return "unreadable: " + places.error().message;
  std::int64_t numbers = 0;
  std::int64_t tensors = 0;
  std::string first;
  std::string block;
  for (const TensorPlace& place : *places) {
    const std::optional<std::int64_t> count = not_finite(file.get(), place, block);
    if (!count) return "unreadable: " + place.name + " is cut short";
    if (*count == 0) continue;
    if (first.empty()) first = place.name;
    numbers += *count;
    ++tensors;
  }
  if (numbers == 0) return "";
  return "not finite: " + std::to_string(numbers) + " numbers in " + std::to_string(tensors) +
         " tensors, first in " + first;
}

}  // namespace

std::string adapter_flag(const std::vector<StoreUpload>& files) {
  const auto weights = std::find_if(files.begin(), files.end(), [](const StoreUpload& file) {
    return file.path == "adapter_model.safetensors";
  });
  return weights == files.end() ? "" : flag_of(weights->source);
}

}  // namespace mayfly
