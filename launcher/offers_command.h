// `launch offers`: what can be rented now, at what price.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/exit_code.h"
#include "core/provider/offer_choice.h"
#include "core/result.h"
#include "launcher/command_line.h"
#include "launcher/desk.h"

namespace mayfly {

// Asks every cloud that there is a key for, and shows what fits, the cheapest first. With --select
// asks which one (or takes the cheapest with --yes) and prints the flags that name it.
// Errors: unauthorized (no key, or none was accepted), no_capacity (nothing fits; the hint says
// what each wish costs), guard (nobody to ask), unreachable, usage.
Result<ExitCode> offers_command(const CommandLine& line, Desk& desk);

// The table: `# Provider Region GPUs VRAM Price/hr NVLink`, with --wide more behind them. Prices
// are per instance-hour; a last line says so.
std::string offers_table(const std::vector<Offer>& offers, bool wide);

// Which one: the only one; that of the answer to "Select instance [1-N] or 'q' to quit: "; without
// anybody to ask the first with `yes`, else guard. `ask` prints the question and returns the line
// that was typed, nullopt at its end; it is empty where there is nobody to ask.
using AskLine = std::function<std::optional<std::string>(const std::string& question)>;
Result<Offer> select_offer(const std::vector<Offer>& offers, bool yes, const AskLine& ask);

// The flags of `launch` that name this offer alone.
std::string offer_flags(const Offer& offer);

}  // namespace mayfly
