#include "tests/cuda/emulator/block.h"

#include <algorithm>
#include <array>
#include <map>
#include <numeric>
#include <random>
#include <utility>
#include <vector>

#include "tests/cuda/emulator/fiber.h"
#include "tests/cuda/emulator/memory.h"
#include "tests/cuda/emulator/traffic.h"

namespace emulator {

Position position;

namespace {

enum class Wait { nothing, warp, block, done };

struct Thread {
  Fiber fiber;
  Wait wait = Wait::nothing;
  Site at;
  // While it waits for its warp:
  Collective collective = Collective::barrier;
  std::uint32_t mask = 0;
  std::uint64_t given = 0;
  unsigned source = 0;
  std::uint64_t received = 0;
};

struct Launch {
  Schedule schedule;
  std::mt19937_64 random;
  unsigned threads = 0;
  unsigned current = 0;
  void (*body)(void*) = nullptr;
  void* argument = nullptr;
  std::string fault;  // of the launch; empty while all is well
  std::uint64_t barriers = 0;
  unsigned done = 0, at_barrier = 0;   // how many threads of this block
  Site barrier_site;                   // where the first of them waits
  std::array<char, 2> block_tokens{};  // ThreadSanitizer knows them by their addresses
  std::vector<std::array<char, 2>> warp_tokens;
  std::vector<std::uint64_t> warp_barriers;
  char launch_token = 0;
};

Launch launch;
std::vector<Thread> pool;  // grows; the first `launch.threads` are in use

Thread& me() {
  return pool[launch.current];
}

const char* name(Collective collective) {
  switch (collective) {
    case Collective::shuffle:
      return "a shuffle";
    case Collective::ballot:
      return "a ballot";
    case Collective::barrier:
      return "__syncwarp";
  }
  return "";
}

std::string state(const Thread& thread) {
  switch (thread.wait) {
    case Wait::nothing:
      return "running";
    case Wait::done:
      return "returned";
    case Wait::block:
      return "in __syncthreads at " + text(thread.at);
    case Wait::warp:
      return "in " + std::string(name(thread.collective)) + " at " + text(thread.at);
  }
  return "";
}

// "12 threads in __syncthreads at x.cu:3:5, 20 returned"
std::string census() {
  std::map<std::string, unsigned> counts;
  for (unsigned i = 0; i < launch.threads; ++i) ++counts[state(pool[i])];
  std::string all;
  for (const auto& [where, count] : counts) {
    all += (all.empty() ? "" : ", ") + std::to_string(count) + " threads " + where;
  }
  return all;
}

void pause(Wait wait) {
  Thread& thread = me();
  thread.wait = wait;
  leave(thread.fiber);
}

void thread_entry() {
  try {
    launch.body(launch.argument);
  } catch (const Fault& fault) {
    launch.fault = fault.what();  // nobody enters a thread again after it
  }
  release_to(&launch.launch_token);
  ++launch.done;
  pause(Wait::done);
}

// Completes the operation if all of the mask are in it: computes what each receives, so that a fast
// lane cannot overwrite what a slow one has not read.
void complete_collective(unsigned first, std::uint32_t mask) {
  std::uint32_t votes = 0;
  for (unsigned lane = 0; lane < kWarp; ++lane) {
    if (!(mask >> lane & 1)) continue;
    if (pool[first + lane].wait != Wait::warp) return;
    votes |= static_cast<std::uint32_t>(pool[first + lane].given & 1) << lane;
  }
  for (unsigned lane = 0; lane < kWarp; ++lane) {
    if (!(mask >> lane & 1)) continue;
    Thread& thread = pool[first + lane];
    thread.received =
        thread.collective == Collective::shuffle ? pool[first + thread.source].given : votes;
  }
  for (unsigned lane = 0; lane < kWarp; ++lane) {
    if (mask >> lane & 1) pool[first + lane].wait = Wait::nothing;
  }
}

void check_mask(std::uint32_t mask, Collective collective, Site at) {
  const unsigned first = launch.current / kWarp * kWarp;
  const std::string what = std::string(name(collective)) + " at " + text(at);
  if (!(mask >> (launch.current - first) & 1)) fail(what + ": the caller is not in its own mask");
  for (unsigned lane = 0; lane < kWarp; ++lane) {
    if (!(mask >> lane & 1)) continue;
    const unsigned index = first + lane;
    if (index >= launch.threads) fail(what + ": lane " + std::to_string(lane) + " does not exist");
    const Thread& other = pool[index];
    if (other.wait == Wait::done) {
      fail(what + ": lane " + std::to_string(lane) + " of the mask has returned");
    }
    if (other.wait == Wait::block ||
        (other.wait == Wait::warp &&
         (other.mask != mask || other.collective != collective || !(other.at == at)))) {
      fail(what + " with mask " + std::to_string(mask) + ": lane " + std::to_string(lane) + " is " +
           state(other) + " with mask " + std::to_string(other.mask));
    }
  }
}

std::uint64_t join(Collective collective, std::uint32_t mask, std::uint64_t given, unsigned source,
                   Site at) {
  if (collective != Collective::shuffle) check_mask(mask, collective, at);
  Thread& thread = me();
  thread.at = at;
  thread.collective = collective;
  thread.mask = mask;
  thread.given = given;
  thread.source = source;
  thread.wait = Wait::warp;
  complete_collective(launch.current / kWarp * kWarp, mask);
  leave(thread.fiber);
  return thread.received;
}

void resume(unsigned index) {
  launch.current = position.thread.x = index;
  enter(pool[index].fiber);
}

void shuffle_order(std::vector<unsigned>& order) {
  if (launch.schedule.seed != 0) std::shuffle(order.begin(), order.end(), launch.random);
}

bool anybody_ready(unsigned first, unsigned last) {
  return std::any_of(pool.begin() + first, pool.begin() + last,
                     [](const Thread& thread) { return thread.wait == Wait::nothing; });
}

void run_warp(unsigned first, unsigned last) {
  std::vector<unsigned> lanes(last - first);
  std::iota(lanes.begin(), lanes.end(), first);
  while (launch.fault.empty() && anybody_ready(first, last)) {
    shuffle_order(lanes);
    for (const unsigned index : lanes) {
      if (pool[index].wait == Wait::nothing) resume(index);
      if (!launch.fault.empty()) return;
    }
  }
}

// Lets all threads go on if all wait for the block's barrier at one place. False when the block is
// done.
bool release_block() {
  if (launch.done == launch.threads) return false;
  if (launch.at_barrier != launch.threads) {
    launch.fault = "nobody can go on: " + census();
    return false;
  }
  ++launch.barriers;
  launch.at_barrier = 0;
  for (unsigned i = 0; i < launch.threads; ++i) pool[i].wait = Wait::nothing;
  return true;
}

void run_block(unsigned threads) {
  new_shared_memory();
  launch.done = launch.at_barrier = 0;
  for (unsigned i = 0; i < threads; ++i) {
    pool[i].wait = Wait::nothing;
    prepare(pool[i].fiber, thread_entry);
  }
  std::vector<unsigned> warps((threads + kWarp - 1) / kWarp);
  std::iota(warps.begin(), warps.end(), 0u);
  do {
    shuffle_order(warps);
    for (const unsigned warp : warps) {
      run_warp(warp * kWarp, std::min((warp + 1) * kWarp, threads));
    }
  } while (launch.fault.empty() && release_block());
  if (launch.fault.empty()) launch.fault = damaged_red_zone();
  end_block_of_traffic(threads);
}

}  // namespace

void set_schedule(const Schedule& schedule) {
  launch.schedule = schedule;
}

void run(unsigned blocks, unsigned threads, void (*body)(void*), void* argument) {
  const Unwatched unwatched;
  if (threads == 0 || threads > 1024 || blocks == 0) {
    throw Fault("a launch of " + std::to_string(blocks) + " blocks of " + std::to_string(threads) +
                " threads");
  }
  launch.random.seed(launch.schedule.seed);
  launch.threads = threads;
  launch.body = body;
  launch.argument = argument;
  launch.fault.clear();
  launch.warp_tokens.assign((threads + kWarp - 1) / kWarp, {});
  launch.warp_barriers.assign(launch.warp_tokens.size(), 0);
  position.block_size.x = threads;
  position.grid_size.x = blocks;
  begin_launch_of_traffic();
  if (pool.size() < threads) pool.resize(threads);
  std::vector<Thread> finished;  // kept to the launch's end: a race of two blocks is one
  for (unsigned block = launch.schedule.first_block; block < blocks; ++block) {
    position.block.x = block;
    run_block(threads);
    if (!launch.fault.empty()) break;
#ifdef MAYFLY_RACES
    for (Thread& thread : pool) finished.push_back(std::exchange(thread, {}));
#endif
  }
  acquire_from(&launch.launch_token);
  for (Thread& thread : finished) forget_fibers(&thread.fiber, 1);
  if (!launch.fault.empty()) throw Fault(launch.fault);
}

void block_barrier(Site at) {
  if (launch.done > 0) fail("__syncthreads at " + text(at) + " after a thread has returned");
  if (launch.at_barrier == 0) launch.barrier_site = at;
  if (!(launch.barrier_site == at)) {
    fail("__syncthreads at " + text(at) + " while others wait at " + text(launch.barrier_site));
  }
  ++launch.at_barrier;
  me().at = at;
  char* const token = &launch.block_tokens[launch.barriers % 2];
  release_to(token);
  pause(Wait::block);
  acquire_from(token);
}

std::uint64_t shuffle(std::uint32_t mask, std::uint64_t value, unsigned source, Site at) {
  check_mask(mask, Collective::shuffle, at);
  if (source >= kWarp || !(mask >> source & 1)) {
    fail("a shuffle at " + text(at) + ": reads lane " + std::to_string(source) +
         ", which is not in the mask");
  }
  return join(Collective::shuffle, mask, value, source, at);
}

std::uint32_t ballot(std::uint32_t mask, bool vote, Site at) {
  return static_cast<std::uint32_t>(join(Collective::ballot, mask, vote ? 1 : 0, 0, at));
}

void warp_barrier(std::uint32_t mask, Site at) {
  const std::size_t warp = launch.current / kWarp;
  const std::uint64_t phase = launch.warp_barriers[warp];
  char* const token = &launch.warp_tokens[warp][phase % 2];
  release_to(token);
  join(Collective::barrier, mask, 0, 0, at);
  launch.warp_barriers[warp] = phase + 1;
  acquire_from(token);
}

void fail(const std::string& what) {
  const std::string who = "thread " + std::to_string(launch.current) + " of block " +
                          std::to_string(position.block.x) + ": ";
  throw Fault(who + what + " (" + census() + ")");
}

}  // namespace emulator
