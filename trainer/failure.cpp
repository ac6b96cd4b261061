#include "trainer/failure.h"

#include <exception>
#include <new>
#include <string>

#include <c10/util/Exception.h>

#include "trainer/ranks.h"

namespace mayfly {

namespace {

constexpr const char* kMemoryHint =
    "lower train.per_device_batch_size (and raise gradient_accumulation) or data.cutoff_len";

Error out_of_memory(const std::string& why) {
  return Error{ErrorKind::out_of_memory, "out of memory: " + why, kMemoryHint};
}

// libtorch's messages carry a C++ backtrace after the first line.
std::string first_line(const std::string& text) {
  return text.substr(0, text.find('\n'));
}

}  // namespace

Error error_of_exception() {
  try {
    throw;
  } catch (const c10::OutOfMemoryError& error) {
    return out_of_memory(first_line(error.what_without_backtrace()));
  } catch (const c10::Error& error) {
    const std::string what = first_line(error.what_without_backtrace());
    // The CPU's allocator has no exception type of its own.
    if (what.find("can't allocate memory") != std::string::npos) return out_of_memory(what);
    return Error{ErrorKind::internal, "libtorch: " + what};
  } catch (const RankLost& error) {
    return Error{ErrorKind::internal, error.what(),
                 "logs/rank-<N>.log says more, where we started it"};
  } catch (const std::bad_alloc&) {
    return out_of_memory("an allocation failed");
  } catch (const std::exception& error) {
    return Error{ErrorKind::internal, std::string("unexpected: ") + error.what()};
  }
}

}  // namespace mayfly
