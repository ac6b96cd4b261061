#include "core/text/data_rows.h"

#include <utility>

#include "core/text/data_order.h"

namespace mayfly {

Result<DataRows> read_data_rows(const DataConfig& config) {
  DataRows data;
  auto own = read_rows(config.path, RecordNames(config), config.sample_size.value_or(0));
  if (!own) return std::move(own.error());
  data.own = std::move(*own);
  if (config.val_path) {
    auto validation = read_rows({*config.val_path}, RecordNames(config), 0);
    if (!validation) return std::move(validation.error());
    data.validation = std::move(*validation);
  }
  data.held_out = held_out_rows(static_cast<std::uint64_t>(config.seed), data.own.rows.size(),
                                config.val_path ? 0.0 : config.test_size);
  return data;
}

}  // namespace mayfly
