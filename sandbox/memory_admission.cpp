#include "sandbox/memory_admission.h"

#include <unistd.h>

#include <algorithm>
#include <fstream>

namespace weft {
namespace {

constexpr int64_t kMb = 1 << 20;

// Bytes in a cgroup's file; nothing known is the largest number.
int64_t limit_in(const char* path) {
  std::ifstream file(path);
  int64_t bytes = 0;
  return file >> bytes && bytes > 0 ? bytes : INT64_MAX;
}

}  // namespace

int64_t machine_memory_mb() {
  const int64_t physical = int64_t{sysconf(_SC_PHYS_PAGES)} * sysconf(_SC_PAGESIZE);
  return std::min({physical, limit_in("/sys/fs/cgroup/memory.max"),
                   limit_in("/sys/fs/cgroup/memory/memory.limit_in_bytes")}) /
         kMb;
}

bool MemoryAdmission::admit(int64_t budget_mb) {
  if (used_mb_ + cost(budget_mb) > capacity_mb_) return false;
  used_mb_ += cost(budget_mb);
  return true;
}

}  // namespace weft
