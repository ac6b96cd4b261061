// A stack of its own and where on it to go on: one CUDA thread. All fibers run on one OS thread, so
// switching is nine instructions and no lock.
//
// The switch is our own assembly, x86-64 only like the rest of the set-up: ucontext makes a system
// call each time (7 to 11 times slower), and Boost's fcontext is a private interface whose Debian
// package brings 170 MB of headers.
//
// AddressSanitizer is told of every switch. Compiled with MAYFLY_RACES, ThreadSanitizer is told
// too, and each fiber is a thread to it, ordered after nothing but what created it.
#pragma once

#include <cstddef>

namespace emulator {

struct Fiber {
  void* stack_pointer = nullptr;
  std::byte* stack = nullptr;
  void* sanitizer = nullptr;  // its fake stack (address) or its thread (race)
};

// Makes `fiber` begin in `entry`, which must not return, at the next `enter`.
void prepare(Fiber& fiber, void (*entry)());

// From the scheduler into the fiber; comes back when the fiber leaves.
void enter(Fiber& fiber);

// From the fiber to the scheduler; comes back at the next `enter`.
void leave(Fiber& fiber);

// Gives back what the fibers of a launch used. Nothing may be inside one.
void forget_fibers(Fiber* fibers, std::size_t count);

// What ThreadSanitizer shall take as "all that was released there happened before this". Nothing
// without it.
void release_to(void* token);
void acquire_from(void* token);

// How many races ThreadSanitizer has reported so far.
int race_reports();

// While one exists, what the scheduler does is not looked at by ThreadSanitizer.
class Unwatched {
 public:
  Unwatched();
  ~Unwatched();
  Unwatched(const Unwatched&) = delete;
  Unwatched& operator=(const Unwatched&) = delete;
};

}  // namespace emulator
