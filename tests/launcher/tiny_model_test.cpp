// The tiny model must be a model to those who read it, or tests that use it prove nothing.
#include "tests/fakes/tiny_model.h"

#include <gtest/gtest.h>

#include "core/text/dataset.h"

namespace mayfly {
namespace {

namespace fs = std::filesystem;

TEST(TinyModelTest, CanBeReadByTheTokenizerAndTheArchitecture) {
  std::string name = (fs::temp_directory_path() / "tiny_XXXXXX").string();
  const fs::path folder = ::mkdtemp(name.data());
  ASSERT_TRUE(make_tiny_model(folder / "model"));
  make_tiny_data(folder / "data.jsonl", 3);
  const auto text = TextModel::load(folder / "model", WallTime{});
  ASSERT_TRUE(text) << text.error().message;
  DataConfig data;
  data.path = {(folder / "data.jsonl").string()};
  const auto dataset = load_dataset(data, *text, {});
  ASSERT_TRUE(dataset) << dataset.error().message;
  EXPECT_EQ(dataset->train_counts.examples, 3);
  EXPECT_EQ(dataset->train_counts.tokens_trained_on, 3 * 2);  // one digit and the end of the turn
  fs::remove_all(folder);
}

}  // namespace
}  // namespace mayfly
