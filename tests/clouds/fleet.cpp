#include "tests/clouds/fleet.h"

#include "core/run/spend_meter.h"

namespace mayfly {

namespace {

constexpr std::chrono::seconds kFailsAfter{30};

}  // namespace

Machine& Fleet::add(const FakeType& type, const std::string& region) {
  Machine machine;
  machine.id = "m-" + std::to_string(machines_.size() + 1);
  machine.type = type.type;
  machine.region = region;
  machine.per_hour = cents(type.cents_per_hour);
  machine.created_at = clock_.now();
  if (!fates.empty()) {
    machine.fate = fates.front();
    fates.pop_front();
  }
  machines_.push_back(machine);
  return machines_.back();
}

// What time did to the machine since it was last looked at.
void Fleet::settle(Machine& machine) {
  if (machine.ended_at) return;
  const WallTime now = clock_.now();
  if (machine.end_asked && now >= *machine.end_asked + end_takes) {
    machine.ended_at = *machine.end_asked + end_takes;
  }
  if (machine.fate == Fate::vanishes && now >= machine.created_at + kFailsAfter) {
    machine.ended_at = machine.created_at + kFailsAfter;
  }
}

InstanceState Fleet::state(Machine& machine) {
  settle(machine);
  const auto age = clock_.now() - machine.created_at;
  if (machine.ended_at) return InstanceState::gone;
  if (machine.end_asked) return InstanceState::terminating;
  if (machine.fate == Fate::fails && age >= kFailsAfter) return InstanceState::failed;
  if (machine.fate != Fate::runs || age < boot_takes) return InstanceState::pending;
  return InstanceState::running;
}

std::vector<Machine*> Fleet::listed() {
  std::vector<Machine*> shown;
  for (Machine& machine : machines_) {
    if (find(machine.id) != nullptr) shown.push_back(&machine);
  }
  return shown;
}

Machine* Fleet::find(const std::string& id) {
  for (Machine& machine : machines_) {
    if (machine.id != id) continue;
    settle(machine);
    if (clock_.now() < machine.created_at + hidden_for) return nullptr;
    const bool over = machine.ended_at && clock_.now() >= *machine.ended_at + shown_gone;
    return over ? nullptr : &machine;
  }
  return nullptr;
}

bool Fleet::end(const std::string& id) {
  Machine* const machine = find(id);
  if (machine == nullptr) return false;
  if (lost_ends > 0) {
    --lost_ends;
  } else if (!machine->end_asked && !machine->ended_at) {
    machine->end_asked = clock_.now();
    if (ends) ends(*machine);
  }
  return true;
}

int Fleet::billing() {
  int count = 0;
  for (Machine& machine : machines_) {
    settle(machine);
    if (!machine.ended_at) ++count;
  }
  return count;
}

Usd Fleet::bill() {
  Usd sum;
  for (Machine& machine : machines_) {
    settle(machine);
    const SpendMeter meter(Price{machine.per_hour, std::chrono::seconds(1)}, machine.created_at);
    sum = sum + meter.spent(machine.ended_at.value_or(clock_.now()));
  }
  return sum;
}

}  // namespace mayfly
