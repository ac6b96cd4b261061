// What could go wrong: escape sequences in a log file, colour although the user said no, a progress
// line that wraps and so fills the screen, columns that shift under accents or colours.
#include "core/terminal.h"

#include <map>

#include <gtest/gtest.h>
#include <unistd.h>

namespace mayfly {
namespace {

Terminal with(bool is_terminal, int columns, std::map<std::string, std::string> variables,
              ColorChoice choice = ColorChoice::automatic) {
  return describe_terminal(is_terminal, columns, choice,
                           [&](const char* name) { return variables[name]; });
}

TEST(TerminalTest, HasColorAtATerminalOnly) {
  EXPECT_TRUE(with(true, 80, {}).color);
  EXPECT_FALSE(with(false, 0, {}).color);
  EXPECT_FALSE(with(true, 80, {{"TERM", "dumb"}}).color);
  EXPECT_FALSE(with(true, 80, {{"TERM", "dumb"}}).interactive);
}

TEST(TerminalTest, ObeysNoColorAndForceAndTheFlagMostOfAll) {
  EXPECT_FALSE(with(true, 80, {{"NO_COLOR", "1"}}).color);
  EXPECT_TRUE(with(true, 80, {{"NO_COLOR", ""}}).color);
  EXPECT_TRUE(with(false, 0, {{"CLICOLOR_FORCE", "1"}}).color);
  EXPECT_FALSE(with(false, 0, {{"CLICOLOR_FORCE", "0"}}).color);
  EXPECT_FALSE(with(true, 80, {{"NO_COLOR", "1"}, {"CLICOLOR_FORCE", "1"}}).color);
  EXPECT_FALSE(with(true, 80, {{"CLICOLOR_FORCE", "1"}}, ColorChoice::never).color);
  EXPECT_TRUE(with(false, 0, {{"NO_COLOR", "1"}}, ColorChoice::always).color);
  // Forced colour does not make a pipe a screen.
  EXPECT_FALSE(with(false, 0, {{"CLICOLOR_FORCE", "1"}}).interactive);
}

TEST(TerminalTest, KnowsItsWidth) {
  EXPECT_EQ(with(true, 120, {{"COLUMNS", "60"}}).width, 120);
  EXPECT_EQ(with(false, 0, {{"COLUMNS", "60"}}).width, 60);
  EXPECT_EQ(with(false, 0, {{"COLUMNS", "wide"}}).width, 80);
  EXPECT_EQ(with(true, 1, {}).width, 20);
}

TEST(TerminalTest, StylesOnlyInColor) {
  Terminal terminal;
  EXPECT_EQ(styled(terminal, Style::red, "x"), "x");
  terminal.color = true;
  EXPECT_EQ(styled(terminal, Style::red, "x"), "\x1b[31mx\x1b[0m");
  EXPECT_EQ(display_width(styled(terminal, Style::bold, "día")), 3);
}

TEST(ProgressLineTest, FitsExactlyAndNeverMore) {
  const Progress progress{"train", 21, 50, "loss 1.234  512 tok/s  ETA 3m10s"};
  for (int width = 1; width <= 200; ++width) {
    EXPECT_LE(display_width(progress_line(progress, width)), width);
  }
  EXPECT_EQ(progress_line(progress, 72),
            "train  42% |███████            | 21/50  loss 1.234  512 tok/s  ETA 3m10s");
  EXPECT_EQ(display_width(progress_line(progress, 72)), 72);
  EXPECT_EQ(progress_line(progress, 20), "train  42% 21/50  lo");
}

TEST(ProgressLineTest, ShowsBothEnds) {
  EXPECT_EQ(progress_line({"x", 0, 4, ""}, 24), "x   0% |           | 0/4");
  EXPECT_EQ(progress_line({"x", 4, 4, ""}, 24), "x 100% |███████████| 4/4");
  EXPECT_EQ(progress_line({"load", 3, 0, "shards"}, 80), "load  3  shards");
}

TEST(ProgressBarTest, WritesNothingIntoAPipe) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  {
    ProgressBar bar(ends[1], Terminal{.interactive = false, .color = false, .width = 80});
    bar.show({"x", 1, 2, ""});
    bar.clear();
  }
  close(ends[1]);
  char byte = 0;
  EXPECT_EQ(read(ends[0], &byte, 1), 0);
  close(ends[0]);
}

TEST(ProgressBarTest, RedrawsInPlaceAndLeavesACleanLine) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  {
    ProgressBar bar(ends[1], Terminal{.interactive = true, .color = false, .width = 25});
    bar.show({"x", 0, 4, ""});
    bar.clear();
    bar.show({"x", 4, 4, ""});
  }
  close(ends[1]);
  char text[400] = {};
  ASSERT_GT(read(ends[0], text, sizeof text - 1), 0);
  close(ends[0]);
  EXPECT_STREQ(text, "\rx   0% |           | 0/4\x1b[K\r\x1b[K\rx 100% |███████████| 4/4\x1b[K\n");
}

TEST(AlignedTableTest, AlignsByWhatIsSeen) {
  EXPECT_EQ(aligned_table({{"RUN", "STEP"}, {"dogs", "612"}, {"é", "7", "x"}, {"\x1b[1mab\x1b[0m"}},
                          {Align::left, Align::right}),
            "RUN   STEP\n"
            "dogs   612\n"
            "é        7  x\n"
            "\x1b[1mab\x1b[0m\n");
  EXPECT_EQ(aligned_table({}, {}), "");
}

}  // namespace
}  // namespace mayfly
