// `launch data`: what training will see, on the laptop and without a GPU.
//
//   preview   rows as text, what is trained in colour (or as {"ids", "mask", "text"}, one a line)
//   check     what is wrong: rows that train nothing, ends, repeats, leaks; exit 5 for an error
//   stats     lengths, and what each cutoff_len would cost
#pragma once

#include "core/exit_code.h"
#include "launcher/command_line.h"
#include "launcher/desk.h"

namespace mayfly {

// Errors: usage, those of reading the run file, the model and the data.
Result<ExitCode> data_command(const CommandLine& line, Desk& desk);

}  // namespace mayfly
