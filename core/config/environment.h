// Environment variables as a value, so that what a program reads from them can be tested; the .env
// file that fills in what is unset; and ${NAME} in texts.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "core/result.h"

namespace mayfly {

using Environment = std::map<std::string, std::string>;

// The environment of this process.
Environment current_environment();

// Lines NAME=value, with optional `export`, # comments and quotes. In double quotes a backslash
// makes n a new line and takes any other character as it is; in single quotes nothing is special.
// Error: invalid_config, with the line.
Result<Environment> parse_dotenv(std::string_view text, const std::string& file);

// Replaces ${NAME}, and ${NAME:-text} by text where NAME is unset or empty; $${ is a literal ${.
// Error: invalid_config, when NAME is not set or the brace is not closed; names no value.
Result<std::string> expand_variables(std::string_view text, const Environment& environment);

// NAME, if the text is ${NAME} or ${NAME:-...} and nothing else; else "".
std::string sole_variable(std::string_view text);

// Replaces {name} by vars[name]; braces around anything but a name, and ${name}, stay as they are.
// Error: invalid_config, when a name has no value.
Result<std::string> fill_names(std::string_view text,
                               const std::map<std::string, std::string>& vars);

}  // namespace mayfly
