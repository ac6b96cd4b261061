// Prometheus throws a whole page away for one line that is wrong. So the page is read here by the
// rules of the format, line for line, with values that invite mistakes.
#include "agent/metrics.h"

#include <cmath>
#include <map>
#include <regex>
#include <set>
#include <sstream>

#include <gtest/gtest.h>

namespace mayfly {
namespace {

RunStatus full_status() {
  RunStatus status;
  status.run_id = "0123456789ab";
  status.name = "a \"quoted\\ name\"\nin two lines";
  status.phase = "sft";
  status.state = "training";
  status.step = 612;
  status.total_steps = 1530;
  status.loss = std::nan("");
  status.held_out_loss = 1.25;
  status.tokens_per_second = 1e9 / 3;
  status.eta_seconds = std::numeric_limits<double>::infinity();
  status.trainer_restarts = 1;
  status.spent = {17'920'000};
  status.guards = {
      {.name = "spend", .limit = 150, .unit = "USD", .left_seconds = 3600.5},
      {.name = "idle", .limit = 1800, .unit = "seconds", .left_seconds = std::nullopt}};
  status.uploads = {
      {.label = "checkpoint-epoch-1", .state = "safe", .commit = {}, .message = {}, .at = {}},
      {.label = "checkpoint-epoch-2", .state = "safe", .commit = {}, .message = {}, .at = {}},
      {.label = "main", .state = "failed", .commit = {}, .message = {}, .at = {}}};
  return status;
}

const std::vector<GpuUse> kGpus = {{"0", 0.5, 1e9, 8e10, 60, 300}, {"1", {}, {}, {}, {}, {}}};

// The rules: HELP and TYPE once, before the samples of their metric, which stand together; no
// sample twice; a counter ends in _total; values as Go's ParseFloat reads them.
struct Page {
  std::map<std::string, double> samples;
  std::map<std::string, std::string> types;

  explicit Page(const std::string& text) {
    read(text);
  }
  void read(const std::string& text) {
    EXPECT_TRUE(text.ends_with("\n"));
    static const std::regex sample(
        R"re(([a-zA-Z_:][a-zA-Z0-9_:]*)(\{([a-zA-Z_][a-zA-Z0-9_]*="([^"\\\n]|\\["\\n])*",?)*\})? (\S+))re");
    static const std::regex value(R"([+-]?(\d+(\.\d+)?([eE][+-]?\d+)?|Inf)|NaN)");
    std::istringstream lines(text);
    std::string current;
    for (std::string line; std::getline(lines, line);) {
      std::istringstream words(line);
      std::string hash, kind, name, type;
      if (line.starts_with("# ")) {
        words >> hash >> kind >> name >> type;
        if (kind == "HELP") {
          EXPECT_FALSE(types.contains(name)) << line;
          current = name;
          continue;
        }
        ASSERT_EQ(kind, "TYPE") << line;
        EXPECT_EQ(name, current) << line;
        EXPECT_TRUE(type == "gauge" || type == "counter") << line;
        EXPECT_EQ(type == "counter", name.ends_with("_total")) << line;
        types[name] = type;
        continue;
      }
      std::smatch match;
      ASSERT_TRUE(std::regex_match(line, match, sample)) << line;
      EXPECT_EQ(match[1], current) << line;
      EXPECT_TRUE(std::regex_match(match[5].str(), value)) << line;
      EXPECT_TRUE(samples
                      .emplace(match[1].str() + match[2].str(),
                               std::strtod(match[5].str().c_str(), nullptr))
                      .second)
          << line;
    }
  }
};

TEST(MetricsTest, IsReadByTheRulesOfTheFormat) {
  const Page page(metrics_text(full_status(), kGpus));
  const auto& samples = page.samples;
  EXPECT_EQ(samples.at("mayfly_up"), 1);
  EXPECT_EQ(samples.at("mayfly_step"), 612);
  EXPECT_EQ(samples.at("mayfly_planned_steps"), 1530);
  EXPECT_TRUE(std::isnan(samples.at("mayfly_loss")));
  EXPECT_TRUE(std::isinf(samples.at("mayfly_eta_seconds")));
  EXPECT_EQ(samples.at("mayfly_tokens_per_second"), 1e9 / 3);
  EXPECT_EQ(samples.at("mayfly_spent_dollars"), 17.92);
  EXPECT_EQ(samples.at("mayfly_state{state=\"training\"}"), 1);
  EXPECT_EQ(samples.at("mayfly_state{state=\"kept\"}"), 0);
  EXPECT_EQ(samples.at("mayfly_uploads{state=\"safe\"}"), 2);
  EXPECT_EQ(samples.at("mayfly_uploads{state=\"failed\"}"), 1);
  EXPECT_EQ(samples.at("mayfly_limit{limit=\"spend\",unit=\"USD\"}"), 150);
  EXPECT_EQ(samples.at("mayfly_limit_left_seconds{limit=\"spend\"}"), 3600.5);
  EXPECT_FALSE(samples.contains("mayfly_limit_left_seconds{limit=\"idle\"}"));
  EXPECT_EQ(samples.at("mayfly_gpu_busy_ratio{gpu=\"0\"}"), 0.5);
  EXPECT_FALSE(samples.contains("mayfly_gpu_busy_ratio{gpu=\"1\"}"));
  EXPECT_TRUE(samples.contains(
      "mayfly_run_info{run_id=\"0123456789ab\",name=\"a \\\"quoted\\\\ name\\\"\\nin two "
      "lines\",phase=\"sft\",provider=\"\",instance=\"\"}"));
}

TEST(MetricsTest, SaysWhenThereIsNoStatusYet) {
  const Page page(metrics_text(std::nullopt, {}));
  EXPECT_EQ(page.samples, (std::map<std::string, double>{{"mayfly_up", 0}}));
}

TEST(MetricsTest, ReadsWhatNvidiaSmiSays) {
  const auto gpus = parse_gpu_use(
      "0, 87, 40536, 81559, 61, 412.35\n1, [N/A], 0, 81559, 30, [Not Supported]\r\n"
      "No devices were found\n2, 1, 2\n");
  ASSERT_EQ(gpus.size(), 2U);
  EXPECT_EQ(gpus[0].index, "0");
  EXPECT_DOUBLE_EQ(*gpus[0].busy, 0.87);
  EXPECT_DOUBLE_EQ(*gpus[0].memory_used_bytes, 40536.0 * 1048576);
  EXPECT_DOUBLE_EQ(*gpus[0].watts, 412.35);
  EXPECT_FALSE(gpus[1].busy);
  EXPECT_FALSE(gpus[1].watts);
  EXPECT_EQ(*gpus[1].celsius, 30);
}

}  // namespace
}  // namespace mayfly
