#include "trainer/nn/stored_nf4.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <optional>
#include <string_view>

#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <nlohmann/json.hpp>

#include "core/json.h"

namespace mayfly {

namespace {

using nlohmann::json;

constexpr std::string_view kState = ".quant_state.bitsandbytes__nf4";

std::string named(const std::string& name) {
  return "the model's tensor \"" + name + "\"";
}

// Takes the parts of one weight and keeps the first fault.
class PartReader {
 public:
  PartReader(const SafetensorsModel& files, const std::string& name) : files_(files), name_(name) {}

  at::Tensor take(std::string_view suffix, TensorType type, std::int64_t count) {
    const std::string name = name_ + std::string(suffix);
    const StoredTensor* const part = files_.find(name);
    if (part == nullptr) return keep(Error{ErrorKind::corrupt, named(name) + " is missing"});
    const auto size = static_cast<std::int64_t>(part->bytes.size());
    if (part->type != type || size != count * tensor_type_bytes(type)) {
      return keep(
          Error{ErrorKind::corrupt, named(name) + " should be " + std::to_string(count) + " x " +
                                        std::string(tensor_type_name(type)) + ", and is " +
                                        std::to_string(size / tensor_type_bytes(part->type)) +
                                        " x " + std::string(tensor_type_name(part->type))});
    }
    at::Tensor taken = at::empty({count}, type == TensorType::u8 ? at::kByte : at::kFloat);
    std::memcpy(taken.data_ptr(), part->bytes.data(), part->bytes.size());
    return taken;
  }

  at::Tensor keep(Error error) {
    if (!fault_) fault_ = std::move(error);
    return {};
  }
  const std::optional<Error>& fault() const {
    return fault_;
  }

 private:
  const SafetensorsModel& files_;
  const std::string& name_;
  std::optional<Error> fault_;
};

// What the JSON text says, as far as it changes the arithmetic.
struct StoredState {
  std::int64_t block = 0;
  std::optional<float> offset;  // of quantised scales
};

Result<StoredState> read_state(const StoredTensor& stored, std::int64_t rows,
                               std::int64_t columns) {
  const std::string_view text(reinterpret_cast<const char*>(stored.bytes.data()),
                              stored.bytes.size());
  const Result<json> parsed = parse_json(text, stored.name);
  if (!parsed) return parsed.error();
  const json& state = *parsed;
  const auto wrong = [&](const std::string& why) {
    return Error{ErrorKind::corrupt, named(stored.name) + " " + why};
  };
  if (!state.is_object()) return wrong("is no JSON object");
  if (state.value("shape", json()) != json::array({rows, columns})) {
    return wrong("is not of shape (" + std::to_string(rows) + ", " + std::to_string(columns) +
                 "), which config.json makes it");
  }
  if (text_at(state, "quant_type") != "nf4") return wrong("is not of type nf4");
  StoredState result;
  const json block = state.value("blocksize", json());
  if (block.is_number_unsigned()) result.block = block.get<std::int64_t>();
  if (result.block < 32 || result.block > 4096 ||
      !std::has_single_bit(static_cast<std::uint64_t>(result.block))) {
    return wrong("has a block size that is no power of two from 32 to 4096");
  }
  const json offset = state.value("nested_offset", json());
  if (offset.is_null()) return result;
  if (!offset.is_number() || !std::isfinite(offset.get<double>())) {
    return wrong("has a nested_offset that is no number");
  }
  if (state.value("nested_blocksize", json()) != cuda::kNf4ScaleBlock) {
    return Error{ErrorKind::unsupported,
                 named(stored.name) + ": scales that are quantised in blocks of 256 are read only"};
  }
  result.offset = offset.get<float>();
  return result;
}

bool is_nf4_table(const at::Tensor& table) {
  const float* const values = table.const_data_ptr<float>();
  return std::equal(values, values + table.numel(), std::begin(cuda::kNf4Code.at));
}

}  // namespace

bool has_stored_nf4(const SafetensorsModel& files, const std::string& name) {
  return files.find(name + std::string(kState)) != nullptr;
}

Result<Nf4Weight> read_stored_nf4(const SafetensorsModel& files, const std::string& name,
                                  std::int64_t rows, std::int64_t columns) {
  const Result<StoredState> state =
      read_state(*files.find(name + std::string(kState)), rows, columns);
  if (!state) return state.error();
  Nf4Weight weight{.rows = rows, .columns = columns, .block = state->block};
  const std::int64_t blocks = weight.blocks();
  PartReader parts(files, name);
  weight.packed = parts.take("", TensorType::u8, (weight.count() + 1) / 2);
  const at::Tensor table = parts.take(".quant_map", TensorType::f32, 16);
  if (!state->offset) {
    weight.absmax = parts.take(".absmax", TensorType::f32, blocks);
  } else {
    const std::int64_t groups = (blocks + cuda::kNf4ScaleBlock - 1) / cuda::kNf4ScaleBlock;
    weight.quantized = parts.take(".absmax", TensorType::u8, blocks);
    weight.scale = parts.take(".nested_absmax", TensorType::f32, groups);
    weight.code = parts.take(".nested_quant_map", TensorType::f32, 256);
    weight.offset = at::full({1}, *state->offset, at::kFloat);
  }
  if (parts.fault()) return *parts.fault();
  if (!is_nf4_table(table)) {
    return Error{ErrorKind::unsupported, named(name + ".quant_map") + " is not NF4's"};
  }
  return weight;
}

}  // namespace mayfly
