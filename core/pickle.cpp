#include "core/pickle.h"

#include <algorithm>
#include <cstdio>
#include <optional>
#include <unordered_map>
#include <utility>

namespace mayfly {

namespace {

constexpr std::size_t kMostPickleBytes = 16 << 20;
constexpr std::string_view kOrderedDict = "collections OrderedDict";
constexpr int kOldestProtocol = 2, kNewestProtocol = 5;

// The operations, by the names of Python's Lib/pickletools.py.
enum Operation : unsigned char {
  kPutMark = '(',
  kStop = '.',
  kBinInt = 'J',
  kBinInt1 = 'K',
  kBinInt2 = 'M',
  kNone = 'N',
  kBinPersId = 'Q',
  kReduce = 'R',
  kBinUnicode = 'X',
  kEmptyTuple = ')',
  kEmptyDict = '}',
  kBinBytes = 'B',
  kShortBinBytes = 'C',
  kBuild = 'b',
  kGlobal = 'c',
  kBinGet = 'h',
  kLongBinGet = 'j',
  kBinPut = 'q',
  kLongBinPut = 'r',
  kSetItem = 's',
  kTuple = 't',
  kSetItems = 'u',
  kProto = 0x80,
  kNewObj = 0x81,
  kTuple1 = 0x85,
  kTuple2 = 0x86,
  kTuple3 = 0x87,
  kNewTrue = 0x88,
  kNewFalse = 0x89,
  kLong1 = 0x8a,
  kShortBinUnicode = 0x8c,
  kBinUnicode8 = 0x8d,
  kBinBytes8 = 0x8e,
  kStackGlobal = 0x93,
  kMemoize = 0x94,
  kFrame = 0x95,
};

// A name out of the file, fit for a message.
std::string shown(std::string_view name) {
  std::string text(name.substr(0, 80));
  for (char& c : text) {
    if (c == ' ') c = '.';
    if (c < '!' || c > '~') c = '?';
  }
  return text;
}

}  // namespace

class PickleReader {
 public:
  using Index = PickleValue::Index;
  using Kind = PickleValue::Kind;

  PickleReader(std::string_view bytes, std::string_view what,
               std::span<const std::string_view> names)
      : bytes_(bytes), what_(what), names_(names) {}

  Result<Pickle> read() {
    if (bytes_.size() > kMostPickleBytes) return corrupt("it has more than 16 MB");
    if (take_number(1) != kProto) return corrupt("it is no pickle of protocol 2 to 5");
    const std::uint64_t protocol = take_number(1);
    if (protocol < kOldestProtocol || protocol > kNewestProtocol) {
      return corrupt("it is no pickle of protocol 2 to 5");
    }
    while (!ended_) {
      const auto operation = static_cast<unsigned char>(take_number(1));
      if (!short_) step(operation);
      if (failure_) return *failure_;
      if (short_) return corrupt("it is cut short");
    }
    if (at_ != bytes_.size()) return corrupt("something follows the end of the pickle");
    return std::move(pickle_);
  }

 private:
  Error corrupt(const std::string& why) const {
    return {ErrorKind::corrupt, std::string(what_) + ": " + why};
  }
  void refuse(const std::string& why) {
    failure_ = Error{ErrorKind::unsupported, std::string(what_) + ": " + why,
                     "a pickle can run code; only what is known is read, and nothing is run"};
  }
  void break_off() {
    failure_ = corrupt("the pickle is damaged at byte " + std::to_string(at_));
  }

  std::string_view take(std::uint64_t count) {
    if (count > bytes_.size() - at_) {
      short_ = true;
      return {};
    }
    const std::string_view taken = bytes_.substr(at_, static_cast<std::size_t>(count));
    at_ += static_cast<std::size_t>(count);
    return taken;
  }
  // Little endian, without a sign.
  std::uint64_t take_number(int width) {
    const std::string_view taken = take(static_cast<std::uint64_t>(width));
    std::uint64_t value = 0;
    for (std::size_t i = taken.size(); i-- > 0;) {
      value = value << 8 | static_cast<unsigned char>(taken[i]);
    }
    return value;
  }
  std::string_view take_line() {
    const std::size_t end = bytes_.find('\n', at_);
    if (end == std::string_view::npos) {
      short_ = true;
      return {};
    }
    const std::string_view line = bytes_.substr(at_, end - at_);
    at_ = end + 1;
    return line;
  }

  void push(PickleValue value) {
    stack_.push_back(static_cast<Index>(pickle_.values_.size()));
    pickle_.values_.push_back(std::move(value));
  }
  void push_number(Kind kind, std::int64_t number) {
    push({.kind = kind, .number = number, .text = {}, .items = {}});
  }
  void push_text(Kind kind, std::string_view text) {
    push({.kind = kind, .text = std::string(text), .items = {}});
  }
  // The last `count` values since the last mark; fewer are a damaged pickle.
  std::vector<Index> pop(std::size_t count) {
    const std::size_t floor = marks_.empty() ? 0 : marks_.back();
    if (stack_.size() - floor < count) {
      break_off();
      return {};
    }
    std::vector<Index> popped(stack_.end() - static_cast<std::ptrdiff_t>(count), stack_.end());
    stack_.resize(stack_.size() - count);
    return popped;
  }
  // All values since the last mark, and the mark.
  std::vector<Index> pop_marked() {
    if (marks_.empty()) {
      break_off();
      return {};
    }
    std::vector<Index> popped = pop(stack_.size() - marks_.back());
    marks_.pop_back();
    return popped;
  }
  PickleValue* top(Kind kind) {
    const std::size_t floor = marks_.empty() ? 0 : marks_.back();
    if (stack_.size() == floor || pickle_.values_[stack_.back()].kind != kind) {
      break_off();
      return nullptr;
    }
    return &pickle_.values_[stack_.back()];
  }

  void step(unsigned char operation);
  void step_of_values(unsigned char operation);
  void remember(std::uint64_t slot);
  void recall(std::uint64_t slot);
  void long_number();
  void tuple(std::vector<Index> items);
  void set_items(std::vector<Index> items);
  void name(std::string_view module, std::string_view name);
  void stack_name();
  void call();
  void build();
  void stop();

  std::string_view bytes_;
  std::string_view what_;
  std::span<const std::string_view> names_;
  std::size_t at_ = 0;
  bool short_ = false;
  bool ended_ = false;
  std::optional<Error> failure_;
  std::vector<Index> stack_;
  std::vector<std::size_t> marks_;  // heights of the stack
  std::unordered_map<std::uint64_t, Index> memo_;
  Pickle pickle_;
};

void PickleReader::step(unsigned char operation) {
  switch (operation) {
    case kFrame:  // how long the next stretch is: a hint for reading ahead
      take_number(8);
      return;
    case kPutMark:
      return marks_.push_back(stack_.size());
    case kStop:
      return stop();
    case kBinPut:
      return remember(take_number(1));
    case kLongBinPut:
      return remember(take_number(4));
    case kMemoize:
      return remember(memo_.size());
    case kBinGet:
      return recall(take_number(1));
    case kLongBinGet:
      return recall(take_number(4));
    case kSetItem:
      return set_items(pop(2));
    case kSetItems:
      return set_items(pop_marked());
    case kGlobal: {
      const std::string_view module = take_line();
      return name(module, take_line());
    }
    case kStackGlobal:
      return stack_name();
    case kReduce:
    case kNewObj:
      return call();
    case kBuild:
      return build();
    case kBinPersId:
      return push({.kind = Kind::outside, .text = {}, .items = pop(1)});
    default:
      return step_of_values(operation);
  }
}

void PickleReader::step_of_values(unsigned char operation) {
  switch (operation) {
    case kNone:
      return push({});
    case kNewTrue:
    case kNewFalse:
      return push_number(Kind::boolean, operation == kNewTrue ? 1 : 0);
    case kBinInt:
      return push_number(Kind::number, static_cast<std::int32_t>(take_number(4)));
    case kBinInt1:
      return push_number(Kind::number, static_cast<std::int64_t>(take_number(1)));
    case kBinInt2:
      return push_number(Kind::number, static_cast<std::int64_t>(take_number(2)));
    case kLong1:
      return long_number();
    case kShortBinUnicode:
      return push_text(Kind::text, take(take_number(1)));
    case kBinUnicode:
      return push_text(Kind::text, take(take_number(4)));
    case kBinUnicode8:
      return push_text(Kind::text, take(take_number(8)));
    case kShortBinBytes:
      return push_text(Kind::bytes, take(take_number(1)));
    case kBinBytes:
      return push_text(Kind::bytes, take(take_number(4)));
    case kBinBytes8:
      return push_text(Kind::bytes, take(take_number(8)));
    case kEmptyTuple:
      return tuple({});
    case kTuple1:
      return tuple(pop(1));
    case kTuple2:
      return tuple(pop(2));
    case kTuple3:
      return tuple(pop(3));
    case kTuple:
      return tuple(pop_marked());
    case kEmptyDict:
      return push({.kind = Kind::dict, .text = {}, .items = {}});
    default: {
      char code[8];
      std::snprintf(code, sizeof code, "0x%02x", operation);
      return refuse(std::string("the pickle has the operation ") + code + ", which is not read");
    }
  }
}

void PickleReader::remember(std::uint64_t slot) {
  if (stack_.empty()) return break_off();
  memo_[slot] = stack_.back();
}

void PickleReader::recall(std::uint64_t slot) {
  const auto found = memo_.find(slot);
  if (found == memo_.end()) return break_off();
  stack_.push_back(found->second);
}

// Two's complement, little endian, as many bytes as needed.
void PickleReader::long_number() {
  const std::string_view taken = take(take_number(1));
  if (taken.size() > 8) return refuse("the pickle has a number of more than 64 bits");
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < 8; ++i) {
    const bool negative = !taken.empty() && (taken.back() & 0x80) != 0;
    const unsigned char byte = i < taken.size() ? static_cast<unsigned char>(taken[i])
                                                : static_cast<unsigned char>(negative ? 0xff : 0);
    value |= static_cast<std::uint64_t>(byte) << (8 * i);
  }
  push_number(Kind::number, static_cast<std::int64_t>(value));
}

void PickleReader::tuple(std::vector<Index> items) {
  push({.kind = Kind::tuple, .text = {}, .items = std::move(items)});
}

void PickleReader::set_items(std::vector<Index> items) {
  if (failure_ || items.size() % 2 != 0) return break_off();
  const std::size_t floor = marks_.empty() ? 0 : marks_.back();
  if (stack_.size() == floor) return break_off();
  PickleValue& target = pickle_.values_[stack_.back()];
  if (target.kind != Kind::dict) return break_off();
  target.items.insert(target.items.end(), items.begin(), items.end());
}

void PickleReader::name(std::string_view module, std::string_view name) {
  if (short_) return;
  const std::string whole = std::string(module) + " " + std::string(name);
  if (std::find(names_.begin(), names_.end(), whole) == names_.end()) {
    return refuse("it asks for " + shown(whole) + ", which has no place in such a file");
  }
  push_text(Kind::name, whole);
}

void PickleReader::stack_name() {
  const std::vector<Index> both = pop(2);
  if (failure_) return;
  const PickleValue& module = pickle_.values_[both[0]];
  const PickleValue& last = pickle_.values_[both[1]];
  if (module.kind != Kind::text || last.kind != Kind::text) return break_off();
  name(std::string(module.text), std::string(last.text));
}

void PickleReader::call() {
  const std::vector<Index> both = pop(2);
  if (failure_) return;
  const PickleValue& called = pickle_.values_[both[0]];
  if (called.kind != Kind::name || pickle_.values_[both[1]].kind != Kind::tuple) {
    return break_off();
  }
  if (called.text == kOrderedDict && pickle_.values_[both[1]].items.empty()) {
    return push({.kind = Kind::dict, .text = {}, .items = {}});
  }
  push({.kind = Kind::object, .text = called.text, .items = {both[1]}});
}

void PickleReader::build() {
  const std::vector<Index> state = pop(1);
  const std::size_t floor = marks_.empty() ? 0 : marks_.back();
  if (failure_ || stack_.size() == floor) return break_off();
  PickleValue& target = pickle_.values_[stack_.back()];
  // An OrderedDict's attributes, such as the `_metadata` of a state_dict(), say nothing of it.
  if (target.kind == Kind::dict) return;
  if (target.kind != Kind::object || target.items.size() != 1) return break_off();
  target.items.push_back(state.front());
}

void PickleReader::stop() {
  ended_ = true;
  if (stack_.size() != 1 || !marks_.empty()) return break_off();
  pickle_.root_ = stack_.front();
}

Result<Pickle> Pickle::parse(std::string_view bytes, std::string_view what,
                             std::span<const std::string_view> names) {
  return PickleReader(bytes, what, names).read();
}

const PickleValue* Pickle::find(const PickleValue& dict, std::string_view key) const {
  if (dict.kind != PickleValue::Kind::dict) return nullptr;
  for (std::size_t i = 0; i + 1 < dict.items.size(); i += 2) {
    const PickleValue& each = values_[dict.items[i]];
    if (each.kind == PickleValue::Kind::text && each.text == key) {
      return &values_[dict.items[i + 1]];
    }
  }
  return nullptr;
}

}  // namespace mayfly
