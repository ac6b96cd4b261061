#include "trainer/thread_waiting.h"

#include <cstdlib>

#include <unistd.h>

namespace mayfly {

void make_threads_wait_briefly(char** arguments) {
  if (std::getenv("GOMP_SPINCOUNT") != nullptr || std::getenv("OMP_WAIT_POLICY") != nullptr) return;
  // About a tenth of a millisecond; the default is 300,000.
  if (::setenv("GOMP_SPINCOUNT", "2000", 1) != 0) return;
  ::execv("/proc/self/exe", arguments);
  // Where that fails (no /proc) everything works as before, only slower under load.
}

}  // namespace mayfly
