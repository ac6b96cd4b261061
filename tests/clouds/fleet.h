// The machines of a fake cloud: what each is, how it fares as virtual time passes, and what it
// costs. Knows no vendor's words; the fakes put them in.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/provider/provider.h"
#include "tests/clouds/virtual_clock.h"

namespace mayfly {

// What can be rented, in no vendor's words.
struct FakeType {
  std::string type;
  std::string gpu;
  int gpus = 1;
  int vram_gb = 80;
  int cents_per_hour = 0;
  std::vector<std::string> regions;
};

// How a machine fares after it was made.
enum class Fate { runs, fails, stays_pending, vanishes };

struct Machine {
  std::string id;
  std::string name;
  std::string type;
  std::string region;
  Usd per_hour;
  Fate fate = Fate::runs;
  WallTime created_at;
  std::optional<WallTime> end_asked;
  std::optional<WallTime> ended_at;
  // Where it can be reached; stand_in.h puts a real place here.
  std::string address = "203.0.113.7";
  std::string user = "shadeform";
  int port = 22;
  std::map<std::string, std::string> notes;  // tags and limits, in the vendor's words
};

class Fleet {
 public:
  explicit Fleet(VirtualClock& clock) : clock_(clock) {}

  // A new machine; the caller fills in the rest.
  Machine& add(const FakeType& type, const std::string& region);
  // Those that a listing shows now.
  std::vector<Machine*> listed();
  // The machine as a single look shows it; nullptr when it is not shown any more or yet.
  Machine* find(const std::string& id);
  InstanceState state(Machine& machine);
  // An accepted request to end; false when there is no such machine.
  bool end(const std::string& id);

  // Machines that cost money now, and what all have cost until now.
  int billing();
  Usd bill();
  const std::deque<Machine>& all() const {
    return machines_;
  }

  std::chrono::seconds boot_takes{90};
  std::chrono::seconds end_takes{20};
  std::chrono::seconds hidden_for{0};  // of new machines: how long no listing shows them
  std::chrono::seconds shown_gone{0};  // how long one that is gone is still shown, as gone
  // A machine was made or is to end: called by the fake, with what its create call said.
  std::function<void(Machine&, const std::string& user_data, const std::string& public_key)> boots;
  std::function<void(const Machine&)> ends;
  int lost_ends = 0;  // accepted requests to end that come to nothing
  bool forgets_limits = false;
  std::deque<Fate> fates;  // of the machines to come; then they run

 private:
  void settle(Machine& machine);

  VirtualClock& clock_;
  std::deque<Machine> machines_;
};

}  // namespace mayfly
