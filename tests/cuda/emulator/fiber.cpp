#include "tests/cuda/emulator/fiber.h"

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

#include <sys/mman.h>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

#ifdef MAYFLY_RACES
#include <sanitizer/tsan_interface.h>
extern "C" void __tsan_ignore_thread_begin();
extern "C" void __tsan_ignore_thread_end();

namespace {
int reports = 0;
}  // namespace
// Called by ThreadSanitizer for each race. It holds its lock meanwhile, so this must not be watched
// itself.
extern "C" void __tsan_on_report(void*) {
  ++reports;
}
#endif

// Saves what the calling convention asks to keep, changes the stack, and returns on the other one.
extern "C" void mayfly_emulator_switch(void** from, void* to);
asm(R"(
.text
.p2align 4
.globl mayfly_emulator_switch
.hidden mayfly_emulator_switch
.type mayfly_emulator_switch,@function
mayfly_emulator_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size mayfly_emulator_switch, .-mayfly_emulator_switch
)");

namespace emulator {
namespace {

// Address sanitizer's red zones make a kernel's frame several times as large.
#ifdef __SANITIZE_ADDRESS__
constexpr std::size_t kStackBytes = 256 * 1024;
#else
constexpr std::size_t kStackBytes = 64 * 1024;
#endif

void* scheduler_stack_pointer = nullptr;
#ifdef __SANITIZE_ADDRESS__
const void* scheduler_stack_bottom = nullptr;
std::size_t scheduler_stack_bytes = 0;
void* scheduler_fake_stack = nullptr;
#endif
#ifdef MAYFLY_RACES
void* scheduler_thread = nullptr;
#endif

void (*entry_of_the_launch)() = nullptr;

std::byte* new_stack() {
  void* stack = mmap(nullptr, kStackBytes, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (stack == MAP_FAILED) std::abort();
  return static_cast<std::byte*>(stack);
}

void arrive() {
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_finish_switch_fiber(nullptr, &scheduler_stack_bottom, &scheduler_stack_bytes);
#endif
  entry_of_the_launch();
  std::abort();  // an entry never returns
}

}  // namespace

void prepare(Fiber& fiber, void (*entry)()) {
  entry_of_the_launch = entry;
#ifdef MAYFLY_RACES
  // A stack used again would look like two threads that write one variable.
  fiber.stack = new_stack();
  fiber.sanitizer = __tsan_create_fiber(0);
#else
  if (fiber.stack == nullptr) fiber.stack = new_stack();
#endif
#ifdef __SANITIZE_ADDRESS__
  __asan_unpoison_memory_region(fiber.stack, kStackBytes);
  fiber.sanitizer = nullptr;
#endif
  // As the switch leaves a stack: six registers, where to return to, and above it one word, so that
  // a function begins 8 below a multiple of 16 as after a call.
  void* top[8] = {};
  top[6] = reinterpret_cast<void*>(&arrive);
  std::byte* const at = fiber.stack + kStackBytes - sizeof top;
  std::memcpy(at, top, sizeof top);
  fiber.stack_pointer = at;
}

void enter(Fiber& fiber) {
#ifdef MAYFLY_RACES
  scheduler_thread = __tsan_get_current_fiber();
  __tsan_switch_to_fiber(fiber.sanitizer, __tsan_switch_to_fiber_no_sync);
#endif
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_start_switch_fiber(&scheduler_fake_stack, fiber.stack, kStackBytes);
#endif
  mayfly_emulator_switch(&scheduler_stack_pointer, fiber.stack_pointer);
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_finish_switch_fiber(scheduler_fake_stack, nullptr, nullptr);
#endif
}

void leave(Fiber& fiber) {
#ifdef MAYFLY_RACES
  __tsan_switch_to_fiber(scheduler_thread, __tsan_switch_to_fiber_no_sync);
#endif
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_start_switch_fiber(&fiber.sanitizer, scheduler_stack_bottom, scheduler_stack_bytes);
#endif
  mayfly_emulator_switch(&fiber.stack_pointer, scheduler_stack_pointer);
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_finish_switch_fiber(fiber.sanitizer, nullptr, nullptr);
#endif
}

void forget_fibers(Fiber* fibers, std::size_t count) {
#ifdef MAYFLY_RACES
  for (std::size_t i = 0; i < count; ++i) {
    if (fibers[i].sanitizer != nullptr) __tsan_destroy_fiber(fibers[i].sanitizer);
    if (fibers[i].stack != nullptr) munmap(fibers[i].stack, kStackBytes);
    fibers[i] = {};
  }
#else
  // Stacks are kept for the next launch.
  static_cast<void>(fibers);
  static_cast<void>(count);
#endif
}

#ifdef MAYFLY_RACES
int race_reports() {
  return reports;
}
void release_to(void* token) {
  __tsan_release(token);
}
void acquire_from(void* token) {
  __tsan_acquire(token);
}
Unwatched::Unwatched() {
  __tsan_ignore_thread_begin();
}
Unwatched::~Unwatched() {
  __tsan_ignore_thread_end();
}
#else
int race_reports() {
  return 0;
}
void release_to(void*) {}
void acquire_from(void*) {}
Unwatched::Unwatched() {}
Unwatched::~Unwatched() {}
#endif

}  // namespace emulator
