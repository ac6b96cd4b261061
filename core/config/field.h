// How a config struct describes itself: a function `fields` that names each member once. Reading
// YAML, flags, help, the schema, the documentation and the plan's JSON are visitors of it.
#pragma once

#include <array>
#include <cstddef>
#include <limits>
#include <string_view>
#include <utility>

namespace mayfly {

struct FieldDoc {
  std::string_view doc;         // one sentence, shown in --help, the schema and docs/config.md
  std::string_view unit = {};   // "USD", "tokens"; empty for plain numbers, texts and durations
  std::string_view flag = {};   // a short command line name for this field, if it has one
  std::string_view alias = {};  // other names in the same section, comma-separated
  // The range allowed, inclusive; of a duration, in seconds.
  double at_least = -std::numeric_limits<double>::infinity();
  double at_most = std::numeric_limits<double>::infinity();
  // A file or folder of this machine: `~/` at its start is the home folder.
  bool is_path = false;
};

// A config struct is one that describes its fields.
template <class T>
concept Config = requires {
  T::fields([](auto...) {});
};

// The number of fields that T describes.
template <Config T>
constexpr std::size_t field_count() {
  std::size_t count = 0;
  T::fields([&count](auto...) { ++count; });
  return count;
}

// The words for an enum's values, in the order they are shown. Specialised beside each enum:
//   template <> struct EnumNames<Device> { static constexpr std::array values = {
//       std::pair{Device::automatic, std::string_view("auto")}, ...}; };
template <class T>
struct EnumNames;

template <class T>
concept NamedEnum = requires {
  EnumNames<T>::values.size();
};

template <NamedEnum T>
constexpr std::string_view enum_name(T value) {
  for (const auto& [candidate, name] : EnumNames<T>::values) {
    if (candidate == value) return name;
  }
  return "?";
}

namespace detail {

struct Anything {
  template <class T>
  operator T() const;
};

template <class T, std::size_t... I>
constexpr bool constructible_from(std::index_sequence<I...>) {
  return requires {
    T{(static_cast<void>(I), Anything{})...};
  };
}

}  // namespace detail

// The number of data members of the aggregate T: how many initialisers it accepts.
template <class T, std::size_t n = 0>
constexpr std::size_t member_count() {
  if constexpr (detail::constructible_from<T>(std::make_index_sequence<n + 1>{})) {
    return member_count<T, n + 1>();
  } else {
    return n;
  }
}

}  // namespace mayfly
