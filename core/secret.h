// A text that must not be shown: it prints as "***" and is read by reveal() only, so that every
// place where a token leaves the program can be found by searching for that word.
#pragma once

#include <ostream>
#include <string>
#include <utility>

namespace mayfly {

class Secret {
 public:
  Secret() = default;
  explicit Secret(std::string text) : text_(std::move(text)) {}

  bool empty() const {
    return text_.empty();
  }
  const std::string& reveal() const {
    return text_;
  }
  friend bool operator==(const Secret&, const Secret&) = default;

 private:
  std::string text_;
};

inline std::ostream& operator<<(std::ostream& out, const Secret& secret) {
  return out << (secret.empty() ? "" : "***");
}

}  // namespace mayfly
