// status: what runs, what it costs, when it will be done.
#include "core/report_error.h"
#include "launcher/command_line.h"
#include "launcher/desk.h"
#include "launcher/status_command.h"

int main(int count, char** words) {
  using namespace mayfly;
  const std::vector<std::string> arguments(words + 1, words + count);
  const bool json = wants_json(arguments);
  const auto finish = [json](const Error& error) {
    return static_cast<int>(report_error(error, json));
  };

  const Result<CommandLine> line = parse_status(arguments);
  if (!line) return finish(line.error());
  if (!line->show.empty()) {
    print(line->show);
    return static_cast<int>(ExitCode::ok);
  }
  SystemClock clock;
  Result<Desk> desk = open_desk(line->common, "status", clock);
  if (!desk) return finish(desk.error());
  const Result<ExitCode> code = status_command(*line, *desk);
  return code ? static_cast<int>(*code) : finish(code.error());
}
