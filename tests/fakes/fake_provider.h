// A provider that plays back what the test wrote down, and counts what it was asked.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "core/provider/provider.h"

namespace mayfly {

class FakeProvider final : public Provider {
 public:
  std::string name() const override {
    return "fake";
  }
  Result<std::vector<Offer>> offers() override {
    return std::vector<Offer>{};
  }
  CreateOutcome create(const InstanceSpec&) override {
    return {CreateOutcome::Kind::refused, {}, {ErrorKind::unsupported, "the fake makes none"}};
  }
  Result<std::vector<Instance>> list_ours() override {
    return listed;
  }
  Result<std::vector<Instance>> find_run(const std::string&) override {
    return listed;
  }
  Result<Instance> get(const InstanceId& id) override {
    const std::size_t look = static_cast<std::size_t>(looks++);
    if (get_error) return *get_error;
    Instance instance;
    instance.id = id;
    instance.state =
        states.empty() ? InstanceState::running : states[std::min(look, states.size() - 1)];
    return instance;
  }
  Status terminate(const InstanceId&) override {
    ++terminate_calls;
    return terminate_answer;
  }

  std::vector<InstanceState> states;  // one a look; the last one stays
  std::vector<Instance> listed;
  std::optional<Error> get_error;
  Status terminate_answer = Unit{};
  int terminate_calls = 0;
  int looks = 0;
};

}  // namespace mayfly
