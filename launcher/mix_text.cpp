#include "launcher/mix_text.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "launcher/figures.h"

namespace mayfly {

std::vector<std::string> mix_lines(std::span<const SourceCounts> sources) {
  std::int64_t rows = 0;
  for (const SourceCounts& source : sources) rows += source.rows;
  std::vector<std::string> lines;
  for (const SourceCounts& source : sources) {
    const double share =
        static_cast<double>(source.rows) / static_cast<double>(std::max<std::int64_t>(rows, 1));
    std::string line = number("%.1f %% ", 100 * share) + source.name + ": " + grouped(source.rows) +
                       " of " + grouped(source.available) + " rows";
    if (source.rows > source.available) {
      line +=
          " (each " +
          number("%.3g", static_cast<double>(source.rows) / static_cast<double>(source.available)) +
          " times)";
    }
    lines.push_back(line + ", " + grouped(source.tokens) + " tokens, " +
                    grouped(source.tokens_trained_on) + " of them trained on");
  }
  return lines;
}

nlohmann::json mix_json(std::span<const SourceCounts> sources) {
  nlohmann::json all = nlohmann::json::array();
  for (const SourceCounts& source : sources) {
    all.push_back({{"name", source.name},
                   {"share", source.share},
                   {"available", source.available},
                   {"rows", source.rows},
                   {"tokens", source.tokens},
                   {"tokens_trained_on", source.tokens_trained_on}});
  }
  return all;
}

}  // namespace mayfly
