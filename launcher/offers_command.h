// `launch offers`: what can be rented now, at what price, and whether a model fits.
#pragma once

#include "core/exit_code.h"
#include "core/result.h"
#include "launcher/command_line.h"
#include "launcher/desk.h"

namespace mayfly {

// Asks every cloud that there is a key for, and shows what fits, the cheapest first. With --fits
// says of each row whether an adapter of that model can be trained there, and what is missing. With
// --select asks which one (or takes the cheapest with --yes) and prints the flags that name it.
// Errors: unauthorized (no key, or none was accepted), no_capacity (nothing fits; the hint says
// what each wish costs), guard (nobody to ask), unreachable, usage, not_found (the model).
Result<ExitCode> offers_command(const CommandLine& line, Desk& desk);

}  // namespace mayfly
