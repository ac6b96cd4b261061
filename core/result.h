// Either a value or the reason why there is none.
//
// The interface is the part of std::expected that we use. That type needs C++23, which nvcc 13.0
// does not accept and g++ 11 does not have; the day every target compiler has it, this becomes an
// alias.
#pragma once

#include <cassert>
#include <string>
#include <utility>
#include <variant>

namespace mayfly {

// What a caller may branch on. Everything else about a failure is in the message.
// core/exit_code.h maps each kind to the exit code a program ends with.
enum class ErrorKind {
  internal,         // a fault of ours
  usage,            // the command line is wrong
  invalid_config,   // the user must edit a file; never retried
  unauthorized,     // a token is missing, wrong or too weak; never retried
  refused,          // the other side said no: funds, quota, terms, a bad request
  not_found,        // the named thing does not exist (any more)
  no_capacity,      // no such machine now; another offer may do
  guard,            // one of our own limits or prompts said no
  rate_limited,     // ask again later
  unreachable,      // network or time-out before anything can have happened; ask again later
  outcome_unknown,  // it may or may not have happened: look before asking again
  corrupt,          // bytes do not match their checksum or their format
  bad_data,         // the training data cannot be used
  unsupported,      // understood, and cannot be done
  no_space,         // the disk is full
  out_of_memory,
  diverged,  // the loss is not a finite number any more
  failed,    // the work itself failed: a trainer that crashed, a child that exited
};

// Where in a file the user wrote, the fault is. `line` 0: the file as a whole.
struct FileLocation {
  std::string file;
  int line = 0;
  int column = 0;
};

struct Error {
  ErrorKind kind;
  std::string message;    // one sentence for a person; says what was being done; never a secret
  std::string hint = {};  // the one thing to do about it, if there is one
  FileLocation at = {};   // empty file: none
};

// "run.yaml:3:5: message", or the message alone.
inline std::string located_message(const Error& error) {
  if (error.at.file.empty()) return error.message;
  std::string text = error.at.file;
  if (error.at.line > 0) text += ":" + std::to_string(error.at.line);
  if (error.at.line > 0 && error.at.column > 0) text += ":" + std::to_string(error.at.column);
  return text + ": " + error.message;
}

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  explicit operator bool() const {
    return state_.index() == 0;
  }

  T& operator*() {
    assert(*this);
    return *std::get_if<0>(&state_);
  }
  const T& operator*() const {
    assert(*this);
    return *std::get_if<0>(&state_);
  }
  T* operator->() {
    return &**this;
  }
  const T* operator->() const {
    return &**this;
  }

  Error& error() {
    assert(!*this);
    return *std::get_if<1>(&state_);
  }
  const Error& error() const {
    assert(!*this);
    return *std::get_if<1>(&state_);
  }

 private:
  std::variant<T, Error> state_;
};

struct Unit {};
using Status = Result<Unit>;

// Puts what we were doing in front of why it failed: "creating the instance: 503 from ...".
inline Error while_doing(std::string doing, Error error) {
  error.message = std::move(doing) + ": " + error.message;
  return error;
}

}  // namespace mayfly
