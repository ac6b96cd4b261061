#include "core/text/data_rows.h"

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <utility>

#include "core/text/data_order.h"
#include "core/text/mix.h"

namespace mayfly {

namespace {

RecordNames names_of(const DataConfig& config, const MixSource& source) {
  RecordNames names(config);
  names.format = source.format.value_or(config.format);
  if (!source.fields_named.empty()) {
    names.fields = {source.fields_named.begin(), source.fields_named.end()};
  }
  if (!source.roles.empty()) names.roles = {source.roles.begin(), source.roles.end()};
  return names;
}

Status read_mix(const DataConfig& config, DataRows& data) {
  std::vector<std::int64_t> weights;
  for (const MixSource& source : config.mix) weights.push_back(mix_weight(source.weight));
  std::vector<std::int64_t> limits(weights.size(), 0);
  if (config.sample_size) limits = mix_counts(weights, *config.sample_size);
  for (std::size_t i = 0; i < config.mix.size(); ++i) {
    const MixSource& source = config.mix[i];
    const std::int64_t limit = config.sample_size ? std::max<std::int64_t>(limits[i], 1) : 0;
    auto rows = read_rows(source.path, names_of(config, source), limit);
    if (!rows) return std::move(rows.error());
    const std::size_t begin = data.own.rows.size();
    std::move(rows->rows.begin(), rows->rows.end(), std::back_inserter(data.own.rows));
    data.own.blank_lines += rows->blank_lines;
    data.sources.push_back({source_name(source), weights[i], begin, data.own.rows.size()});
  }
  return Unit{};
}

Status read_files(const DataConfig& config, DataRows& data) {
  auto own = read_rows(config.path, RecordNames(config), config.sample_size.value_or(0));
  if (!own) return std::move(own.error());
  data.own = std::move(*own);
  data.sources.push_back({.name = {}, .end = data.own.rows.size()});
  return Unit{};
}

}  // namespace

std::string source_name(const MixSource& source) {
  if (source.name) return *source.name;
  return std::filesystem::path(source.path.front()).filename().string();
}

Result<DataRows> read_data_rows(const DataConfig& config) {
  DataRows data;
  Status read = config.mix.empty() ? read_files(config, data) : read_mix(config, data);
  if (!read) return std::move(read.error());
  if (config.val_path) {
    auto validation = read_rows({*config.val_path}, RecordNames(config), 0);
    if (!validation) return std::move(validation.error());
    data.validation = std::move(*validation);
  }
  auto seed = static_cast<std::uint64_t>(config.seed);
  for (const RowSource& source : data.sources) {
    const std::vector<bool> held_out =
        held_out_rows(seed++, source.end - source.begin, config.val_path ? 0.0 : config.test_size);
    data.held_out.insert(data.held_out.end(), held_out.begin(), held_out.end());
  }
  return data;
}

}  // namespace mayfly
