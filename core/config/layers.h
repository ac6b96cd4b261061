// Configuration as layers of (path, value, origin) before it is typed. What a key means is decided
// here: a field, an older name of one, something not built yet, or a mistake.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/config/load.h"
#include "core/config/node.h"

namespace mayfly {

struct Assignment {
  ConfigNode value;  // null: back to the default
  Origin origin;
};

// The problem of a value that came from there: usage for the command line, else invalid_config.
Error problem_at(const Origin& origin, std::string message, std::string hint);
// The same origin with a place in its file; unchanged where there is no file.
Origin placed(Origin origin, Place place);

class Layers {
 public:
  explicit Layers(const Environment& environment) : environment_(environment) {}

  // Lays a parsed file over what is there. `origin` gives the layer and the file's name.
  void add_map(const ConfigNode& root, const Origin& origin);
  // Lays one value over what is there, under any name of its path.
  void add_value(const std::string& path, ConfigNode value, const Origin& origin);
  void add_problem(Error problem) {
    problems_.push_back(std::move(problem));
  }

  // By canonical path; entries of maps have paths of their own.
  const std::map<std::string, Assignment>& values() const {
    return values_;
  }
  const std::vector<Error>& problems() const {
    return problems_;
  }

 private:
  struct Written {
    std::string path;  // as the user wrote it
    Place place;       // of the key
  };

  void walk(const ConfigNode& map, const std::string& prefix, const Origin& origin);
  void add_key(const Written& written, const ConfigNode& value, const Origin& origin);
  void add_entries(const std::string& path, const Written& written, const ConfigNode& value,
                   const Origin& origin);
  void assign(const std::string& path, const Written& written, const ConfigNode& value,
              const Origin& origin);
  // Whether the key is one that is not built; a problem unless its value asks for nothing.
  bool refuse_not_built(const std::string& path, const Written& written, const ConfigNode& value,
                        const Origin& origin);
  void refuse_unknown(const Written& written, const Origin& origin);

  const Environment& environment_;
  std::map<std::string, Assignment> values_;
  std::vector<Error> problems_;
};

}  // namespace mayfly
