#include "agent/trainer_libraries.h"

#include <sstream>

#include "core/command.h"

namespace mayfly {

namespace fs = std::filesystem;

TrainerLibraries read_library_list(const std::string& out, const std::string& err) {
  TrainerLibraries libraries;
  std::istringstream lines(out);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string name, arrow, path;
    words >> name >> arrow >> path;
    if (arrow != "=>") continue;
    if (path == "not") {
      libraries.missing.push_back(name);
    } else if (name == "libtorch_cpu.so") {
      libraries.torch = fs::path(path).parent_path();
    }
  }
  // "train: /lib/libc.so.6: version `GLIBC_2.38' not found (required by train)"
  std::istringstream complaints(err);
  for (std::string line; std::getline(complaints, line);) {
    if (line.find("version `") == line.npos || line.find("not found") == line.npos) continue;
    libraries.trouble = line;
    break;
  }
  return libraries;
}

Result<TrainerLibraries> libraries_of(const fs::path& program, const fs::path& folder) {
  const Result<CommandAnswer> said =
      run_to_end({.argv = {program.string()},
                  .environment = {"PATH=/usr/bin:/bin", "LD_TRACE_LOADED_OBJECTS=1",
                                  "LD_LIBRARY_PATH=" + folder.string()}});
  if (!said) return while_doing("looking for the libraries of " + program.string(), said.error());
  return read_library_list(said->out, said->err);
}

}  // namespace mayfly
