#include "base/machine.h"

#include <sched.h>

#include <algorithm>
#include <string>
#include <thread>

#include "base/error.h"
#include "base/memory.h"

namespace weft {
namespace {

constexpr int64_t kThreadsPerCore = 16;

}  // namespace

int64_t num_cores() {
  cpu_set_t cores;
  if (sched_getaffinity(0, sizeof cores, &cores) == 0 && CPU_COUNT(&cores) > 0) {
    return CPU_COUNT(&cores);
  }
  return std::max<int64_t>(std::thread::hardware_concurrency(), 1);
}

int64_t max_threads() { return kThreadsPerCore * num_cores(); }

void require_threads(const char* name, int64_t threads) {
  if (threads >= 0 && threads <= max_threads()) return;
  throw InputError(std::string(name) + ": expected 0 to " + std::to_string(max_threads()) + ", " +
                   std::to_string(kThreadsPerCore) + " for each of the machine's " +
                   std::to_string(num_cores()) + " cores, got " + std::to_string(threads));
}

void require_memory_mb(const char* name, int64_t mb) {
  const int64_t most = memory_limit() >> 20;
  if (mb <= most) return;
  throw InputError(std::string(name) + ": expected at most " + std::to_string(most) +
                   ", the machine's memory in MiB, got " + std::to_string(mb));
}

}  // namespace weft
