// Exceptions to errors: libtorch throws, and so does the allocator. Everything of the trainer runs
// inside `without_exceptions`, so that each ends in a `failed` event and an exit code.
#pragma once

#include "core/result.h"

namespace mayfly {

// What is being thrown, as an error: out_of_memory for an allocation, on the CPU or the GPU, that
// failed; internal for the rest. Only inside a catch block.
Error error_of_exception();

template <class Work>
auto without_exceptions(Work&& work) -> decltype(work()) {
  try {
    return work();
  } catch (...) {
    return error_of_exception();
  }
}

}  // namespace mayfly
