#pragma once

#include <optional>

#include "core/config/field.h"

namespace mayfly {

enum class QuantBits { four };
template <>
struct EnumNames<QuantBits> {
  static constexpr std::array values = {std::pair{QuantBits::four, std::string_view("4")}};
};

enum class QuantType { nf4 };
template <>
struct EnumNames<QuantType> {
  static constexpr std::array values = {std::pair{QuantType::nf4, std::string_view("nf4")}};
};

// How the frozen weights are kept (QLoRA). Names as in the guides and bitsandbytes.
struct QuantConfig {
  std::optional<QuantBits> bits;  // nothing: as computed with
  QuantType type = QuantType::nf4;
  bool double_quant = true;

  static constexpr void fields(auto&& field) {
    using Self = QuantConfig;
    field("bits", &Self::bits,
          FieldDoc{.doc = "4: the linear layers of the blocks are kept in four bits (QLoRA), a "
                          "quarter of the memory; the adapter learns beside them as ever. Default: "
                          "not quantised, or as the checkpoint is.",
                   .flag = "--quant-bits"});
    field("type", &Self::type, FieldDoc{.doc = "The sixteen values a weight can have."});
    field("double", &Self::double_quant,
          FieldDoc{.doc = "Quantise the weights' scales too: 0.4 bits a weight less."});
  }
};
static_assert(field_count<QuantConfig>() == member_count<QuantConfig>());

}  // namespace mayfly
