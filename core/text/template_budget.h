// How much a chat template may do. Templates come with models: `range(10**9)` in one has hung
// servers for hours (llama.cpp#24140, vllm#52025).
//
// The template engine knows no limits. cmake/Jinja.cmake puts calls of these functions into our
// copy of its sources, at the places through which all work and all growing text pass. The budget
// is that of the thread, as the engine has nothing to carry it: a TemplateBudget counts while it
// lives.
#pragma once

#include <cstdint>
#include <stdexcept>

namespace mayfly {

struct TemplateBudget {
  std::int64_t steps;  // statements and expressions carried out, elements walked over
  std::int64_t bytes;  // of text that was joined
  int depth = 0;       // statements inside of statements, through macros too

  TemplateBudget(std::int64_t steps_allowed, std::int64_t bytes_allowed);
  ~TemplateBudget();
  TemplateBudget(const TemplateBudget&) = delete;
  TemplateBudget& operator=(const TemplateBudget&) = delete;
};

namespace template_budget {

constexpr int kDeepest = 200;

inline thread_local TemplateBudget* current = nullptr;

inline void spend_steps(std::int64_t count) {
  if (!current) return;
  if (count > current->steps) throw std::runtime_error("it does too much");
  current->steps -= count;
}

inline void spend_bytes(std::int64_t count) {
  if (!current) return;
  if (count > current->bytes) throw std::runtime_error("it writes too much");
  current->bytes -= count;
}

// Around one statement or expression.
class Step {
 public:
  Step() {
    spend_steps(1);
    if (!current) return;
    if (current->depth >= kDeepest) throw std::runtime_error("it goes too deep");
    ++current->depth;
  }
  ~Step() {
    if (current) --current->depth;
  }
  Step(const Step&) = delete;
  Step& operator=(const Step&) = delete;
};

}  // namespace template_budget

inline TemplateBudget::TemplateBudget(std::int64_t steps_allowed, std::int64_t bytes_allowed)
    : steps(steps_allowed), bytes(bytes_allowed) {
  template_budget::current = this;
}

inline TemplateBudget::~TemplateBudget() {
  template_budget::current = nullptr;
}

}  // namespace mayfly
