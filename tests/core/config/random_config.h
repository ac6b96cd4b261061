// A valid value for every field, drawn from a seed: for tests that write a config and read it back.
#pragma once

#include <random>
#include <string>

#include "core/config/value.h"
#include "core/config/visit.h"

namespace mayfly {

class RandomConfig {
 public:
  explicit RandomConfig(unsigned seed) : random_(seed) {}

  RunConfig next() {
    RunConfig config;
    for_each_field([&](std::string_view, std::string_view, const FieldDoc& doc, const auto& get) {
      auto& target = get(config);
      target = value<std::remove_cvref_t<decltype(target)>>(doc);
    });
    return config;
  }

 private:
  std::uint64_t below(std::uint64_t bound) {
    return random_() % bound;
  }

  double between(double least, double most) {
    const double share = static_cast<double>(random_() >> 11) * 0x1p-53;
    return least + share * (most - least);
  }

  static double least_of(const FieldDoc& doc) {
    return std::max(doc.at_least, -1e6);
  }
  static double most_of(const FieldDoc& doc) {
    return std::min(doc.at_most, 1e9);
  }

  template <class T>
  T value(const FieldDoc& doc) {
    if constexpr (detail::IsOptional<T>) {
      using Inner = typename detail::OptionalOf<T>::type;
      if (below(2) == 0) return T{};
      return T{value<Inner>(doc)};
    } else if constexpr (detail::IsList<T>) {
      T list;
      for (auto left = 1 + below(3); left > 0; --left) {
        list.push_back(value<typename detail::ListOf<T>::type>(doc));
      }
      return list;
    } else if constexpr (Config<T>) {
      T filled;
      T::fields([&](std::string_view, auto member, const FieldDoc& inner) {
        filled.*member = value<std::remove_cvref_t<decltype(filled.*member)>>(inner);
      });
      return filled;
    } else if constexpr (NamedEnum<T>) {
      return EnumNames<T>::values[below(EnumNames<T>::values.size())].first;
    } else if constexpr (std::is_same_v<T, bool>) {
      return below(2) == 1;
    } else if constexpr (std::is_same_v<T, std::int64_t>) {
      return static_cast<std::int64_t>(std::ceil(between(least_of(doc), most_of(doc))));
    } else if constexpr (std::is_same_v<T, double>) {
      return below(4) == 0 ? least_of(doc) : between(least_of(doc), most_of(doc));
    } else if constexpr (std::is_same_v<T, Usd>) {
      return Usd{1'000 + static_cast<std::int64_t>(below(200'000'000))};
    } else if constexpr (std::is_same_v<T, std::chrono::seconds>) {
      return std::chrono::seconds(static_cast<std::int64_t>(
          std::ceil(between(std::max(least_of(doc), 60.0), std::min(most_of(doc), 1e6)))));
    } else if constexpr (std::is_same_v<T, std::string>) {
      return text();
    } else if constexpr (std::is_same_v<T, Secret>) {
      return Secret();
    } else {
      T map;
      for (auto left = below(3); left > 0; --left) map["k" + std::to_string(below(100))] = text();
      return map;
    }
  }

  // Never blank: that would be "not set" for an optional field; never a {name} that has no value.
  std::string text() {
    static const std::vector<std::string> kPieces = {"a",
                                                     "Z",
                                                     "9",
                                                     "0",
                                                     "-",
                                                     "_",
                                                     "/",
                                                     ".",
                                                     ":",
                                                     ": ",
                                                     " ",
                                                     " #",
                                                     "#",
                                                     "'",
                                                     "\"",
                                                     "\\",
                                                     "\n",
                                                     "\t",
                                                     ",",
                                                     "[",
                                                     "]",
                                                     "{ ",
                                                     "}",
                                                     "&",
                                                     "*",
                                                     "!",
                                                     "|",
                                                     ">",
                                                     "%",
                                                     "@",
                                                     "`",
                                                     "~",
                                                     "$",
                                                     "${",
                                                     "$(x",
                                                     "true",
                                                     "null",
                                                     "no",
                                                     "1e9",
                                                     "?",
                                                     "<<",
                                                     "\x01",
                                                     "\x7F",
                                                     "\xC3\xA9",
                                                     "\xE2\x80\xA8",
                                                     "\xF0\x9F\xA6\x8B"};
    std::string out = "x";
    if (below(3) == 0) out = kPieces[below(kPieces.size())];
    for (auto left = below(8); left > 0; --left) out += kPieces[below(kPieces.size())];
    return out;
  }

  std::mt19937_64 random_;
};

}  // namespace mayfly
