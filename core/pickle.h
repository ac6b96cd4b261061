// Reading what Python's pickle wrote, without ever doing what it asks for.
//
// A pickle is a program for a stack machine that may import and call anything. Here it only builds
// values: a class or function is a name, a call is a record of that name and its arguments. Names
// must be in the caller's list, everything else ends the reading. Understood are the operations
// that protocols 2 to 5 need for texts, bytes, whole numbers, tuples, dicts and objects (Python's
// Lib/pickletools.py describes them); lists, sets, floats and protocols 0 and 1 are refused.
//
// libtorch's own unpickler does not do: it stops at the state that `state_dict()` hangs on its
// OrderedDict (2.11), and knows only torch's classes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"

namespace mayfly {

struct PickleValue {
  enum class Kind {
    none,
    boolean,  // number is 0 or 1
    number,   // whole
    text,     // UTF-8 as Python wrote it, not checked
    bytes,    // in text
    tuple,    // items
    dict,     // items: key, value, key, value, in the order written; an OrderedDict too
    name,     // text is "module name", of a class or function
    object,   // text is the name of what was called; items: its arguments, then its state or none
    outside,  // a "persistent id": items has it alone
  };
  // Of another value in the same pickle. Values may be shared, and a dict may hold itself.
  using Index = std::uint32_t;

  Kind kind = Kind::none;
  std::int64_t number = 0;
  std::string text;
  std::vector<Index> items;
};

class Pickle {
 public:
  // `what` names the file in errors; `names` are those allowed, as "collections OrderedDict". At
  // most 16 MB, of which memory may take sixty times as much. Errors: corrupt (cut short, not a
  // pickle), unsupported (a name or an operation that is not read; the message says which).
  static Result<Pickle> parse(std::string_view bytes, std::string_view what,
                              std::span<const std::string_view> names);

  const PickleValue& root() const {
    return values_[root_];
  }
  const PickleValue& operator[](PickleValue::Index index) const {
    return values_[index];
  }
  // The value of `key` in a dict; nullptr: none, or `dict` is no dict.
  const PickleValue* find(const PickleValue& dict, std::string_view key) const;

 private:
  friend class PickleReader;
  std::vector<PickleValue> values_;
  PickleValue::Index root_ = 0;
};

}  // namespace mayfly
