// What a person looks at: whether it is a terminal, how wide, in colour or not; one line of
// progress; a table with aligned columns.
//
// Colour follows no-color.org and bixense.com/clicolors: NO_COLOR turns it off, CLICOLOR_FORCE on,
// otherwise it is on at a terminal. Neither says anything about progress bars: those are drawn at a
// terminal only. Width is counted in code points, which is right for all but wide characters.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace mayfly {

enum class ColorChoice { automatic, always, never };  // --color; --no-color is never

struct Terminal {
  bool interactive = false;  // somebody sees it being redrawn
  bool color = false;
  int width = 80;
};

// Of the open file descriptor: 1 for standard output, 2 for standard error.
Terminal terminal_of(int descriptor, ColorChoice choice);

// The same from facts, for tests: `columns` as the terminal says, 0 if it does not; `variable`
// gives an environment variable or "".
Terminal describe_terminal(bool is_terminal, int columns, ColorChoice choice,
                           const std::function<std::string(const char*)>& variable);

enum class Style { bold, dim, red, green, yellow, blue };
// `text` with the style around it, or as it is when the terminal has no colour.
std::string styled(const Terminal& terminal, Style style, std::string_view text);

// How many columns the text takes, without escape sequences.
int display_width(std::string_view text);

// One line, `label  42% |#####     | 21/50  tail`, exactly fitted: the bar shrinks first, then the
// tail is cut. `of` 0: no bar, only the count. Never longer than `width`.
struct Progress {
  std::string label;
  std::int64_t done = 0;
  std::int64_t of = 0;
  std::string tail;  // "loss 1.234  512 tok/s  ETA 3m10s"
};
std::string progress_line(const Progress& progress, int width);

// Keeps one progress line at the bottom of an interactive terminal. Not thread-safe. On a terminal
// that is not interactive it writes nothing at all.
class ProgressBar {
 public:
  // Writes to the descriptor by plain write calls; errors are ignored.
  ProgressBar(int descriptor, Terminal terminal);
  ~ProgressBar();
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  void show(const Progress& progress);
  // Takes the line away, so that something else can be printed.
  void clear();
  // Leaves the line as it is and goes to the next one.
  void keep();

 private:
  int descriptor_;
  Terminal terminal_;
  bool shown_ = false;
};

enum class Align { left, right };
// Rows of cells as lines, columns two spaces apart, no space at a line's end. `align` of a column
// that is not named is left. Rows may be of different length.
std::string aligned_table(const std::vector<std::vector<std::string>>& rows,
                          const std::vector<Align>& align);

}  // namespace mayfly
