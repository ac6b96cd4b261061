// The configuration described for people, from the fields' own descriptions: the text of `launch
// config schema --format text`, the page docs/config.md and the template of `config init`.
#pragma once

#include <string>

namespace mayfly {

// All fields by section, one line each with type, default and flag, for a terminal.
std::string config_help();

// docs/config.md. A test fails when the file differs from it.
std::string config_page();

// A run file to start from: what must be given, and the most used rest as comments.
std::string config_template();

}  // namespace mayfly
