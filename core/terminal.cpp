#include "core/terminal.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>

#include <sys/ioctl.h>
#include <unistd.h>

namespace mayfly {

namespace {

constexpr int kNarrowest = 20;
constexpr int kWidestBar = 30;

int number(const std::string& text) {
  int value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

std::string repeated(std::string_view text, int times) {
  std::string out;
  for (int i = 0; i < times; ++i) out += text;
  return out;
}

bool continues_character(char byte) {
  return (static_cast<unsigned char>(byte) & 0xC0) == 0x80;
}

// The first `width` columns; escape sequences do not occur in progress lines.
std::string first_columns(std::string_view text, int width) {
  int columns = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (continues_character(text[i])) continue;
    if (columns == width) return std::string(text.substr(0, i));
    ++columns;
  }
  return std::string(text);
}

void write_ignoring_errors(int descriptor, const std::string& text) {
  if (::write(descriptor, text.data(), text.size()) < 0) return;  // nobody is looking any more
}

}  // namespace

Terminal describe_terminal(bool is_terminal, int columns, ColorChoice choice,
                           const std::function<std::string(const char*)>& variable) {
  Terminal terminal;
  const bool dumb = variable("TERM") == "dumb";
  terminal.interactive = is_terminal && !dumb;
  terminal.width = columns > 0 ? columns : number(variable("COLUMNS"));
  if (terminal.width <= 0) terminal.width = 80;
  terminal.width = std::max(terminal.width, kNarrowest);

  const std::string force = variable("CLICOLOR_FORCE");
  terminal.color = terminal.interactive;
  if (!force.empty() && force != "0") terminal.color = true;
  if (!variable("NO_COLOR").empty()) terminal.color = false;
  if (choice != ColorChoice::automatic) terminal.color = choice == ColorChoice::always;
  return terminal;
}

Terminal terminal_of(int descriptor, ColorChoice choice) {
  winsize size{};
  const bool is_terminal = ::isatty(descriptor) == 1;
  if (is_terminal) ::ioctl(descriptor, TIOCGWINSZ, &size);
  return describe_terminal(is_terminal, size.ws_col, choice, [](const char* name) {
    const char* value = std::getenv(name);
    return std::string(value != nullptr ? value : "");
  });
}

std::string styled(const Terminal& terminal, Style style, std::string_view text) {
  if (!terminal.color) return std::string(text);
  const char* code = "0";
  switch (style) {
    case Style::bold:
      code = "1";
      break;
    case Style::dim:
      code = "2";
      break;
    case Style::red:
      code = "31";
      break;
    case Style::green:
      code = "32";
      break;
    case Style::yellow:
      code = "33";
      break;
    case Style::blue:
      code = "34";
      break;
  }
  return "\x1b[" + std::string(code) + "m" + std::string(text) + "\x1b[0m";
}

int display_width(std::string_view text) {
  int columns = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\x1b' && i + 1 < text.size() && text[i + 1] == '[') {
      while (i < text.size() && (text[i] < '@' || text[i] == '[')) ++i;  // up to the final letter
      continue;
    }
    if (!continues_character(text[i])) ++columns;
  }
  return columns;
}

std::string progress_line(const Progress& progress, int width) {
  std::string head = progress.label;
  if (progress.of <= 0) {
    if (progress.done > 0) head += "  " + std::to_string(progress.done);
    if (!progress.tail.empty()) head += "  " + progress.tail;
    return first_columns(head, width);
  }
  const std::int64_t done = std::clamp<std::int64_t>(progress.done, 0, progress.of);
  const std::string percent = std::to_string(done * 100 / progress.of) + "%";
  head += " " + repeated(" ", 4 - static_cast<int>(percent.size())) + percent;
  std::string tail = " " + std::to_string(progress.done) + "/" + std::to_string(progress.of);
  if (!progress.tail.empty()) tail += "  " + progress.tail;

  const int room = width - display_width(head) - display_width(tail) - 3;  // " |" and "|"
  const int bar = std::min(room, kWidestBar);
  if (bar < 3) return first_columns(head + tail, width);
  const int filled = static_cast<int>(done * bar / progress.of);
  return head + " |" + repeated("█", filled) + repeated(" ", bar - filled) + "|" + tail;
}

ProgressBar::ProgressBar(int descriptor, Terminal terminal)
    : descriptor_(descriptor), terminal_(terminal) {}

ProgressBar::~ProgressBar() {
  keep();
}

void ProgressBar::show(const Progress& progress) {
  if (!terminal_.interactive) return;
  // One column less than there is: some terminals wrap when the last one is written.
  write_ignoring_errors(descriptor_,
                        "\r" + progress_line(progress, terminal_.width - 1) + "\x1b[K");
  shown_ = true;
}

void ProgressBar::clear() {
  if (shown_) write_ignoring_errors(descriptor_, "\r\x1b[K");
  shown_ = false;
}

void ProgressBar::keep() {
  if (shown_) write_ignoring_errors(descriptor_, "\n");
  shown_ = false;
}

std::string aligned_table(const std::vector<std::vector<std::string>>& rows,
                          const std::vector<Align>& align) {
  std::vector<int> widths;
  for (const auto& row : rows) {
    if (widths.size() < row.size()) widths.resize(row.size(), 0);
    for (std::size_t c = 0; c < row.size(); ++c) {
      widths[c] = std::max(widths[c], display_width(row[c]));
    }
  }
  std::string text;
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t c = 0; c < row.size(); ++c) {
      const std::string padding = repeated(" ", widths[c] - display_width(row[c]));
      const bool right = c < align.size() && align[c] == Align::right;
      line += right ? padding + row[c] : row[c] + padding;
      line += "  ";
    }
    while (!line.empty() && line.back() == ' ') line.pop_back();
    text += line + "\n";
  }
  return text;
}

}  // namespace mayfly
