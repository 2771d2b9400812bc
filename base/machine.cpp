#include "base/machine.h"

#include <sched.h>

#include <algorithm>
#include <string>
#include <thread>

#include "base/error.h"
#include "base/memory.h"

namespace weft {
namespace {

constexpr int64_t kThreadsPerCore = 16, kConcurrentPerCore = 512;
constexpr int64_t kConcurrentBytes = 4 << 20;

std::string memory_text() { return std::to_string(memory_limit() >> 20) + " MiB of memory"; }

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

int64_t max_concurrent() {
  return std::clamp<int64_t>(memory_limit() / kConcurrentBytes, 1,
                             kConcurrentPerCore * num_cores());
}

void require_concurrent(const char* name, int64_t count) {
  if (count >= 1 && count <= max_concurrent()) return;
  throw InputError(std::string(name) + ": expected 1 to " + std::to_string(max_concurrent()) +
                   ", which this machine's " + std::to_string(num_cores()) + " cores and " +
                   memory_text() + " allow, got " + std::to_string(count));
}

void require_room(const char* name, int64_t count, int64_t bytes) {
  const int64_t most = memory_limit() / bytes;
  if (count <= most) return;
  throw InputError(std::string(name) + ": expected at most " + std::to_string(most) +
                   ", which this machine's " + memory_text() + " hold, got " +
                   std::to_string(count));
}

void require_memory_mb(const char* name, int64_t mb) {
  const int64_t most = memory_limit() >> 20;
  if (mb <= most) return;
  throw InputError(std::string(name) + ": expected at most " + std::to_string(most) +
                   ", the machine's memory in MiB, got " + std::to_string(mb));
}

}  // namespace weft
