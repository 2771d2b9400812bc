#include "base/memory.h"

#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <string>

namespace weft {
namespace {

namespace fs = std::filesystem;

// The number in a file; INT64_MAX where there is none, as for "max".
int64_t number_in(const fs::path& path) {
  std::ifstream file(path);
  int64_t bytes = 0;
  return file >> bytes && bytes > 0 ? bytes : INT64_MAX;
}

// The least limit of a group ("/slurm/job_7") and of those around it.
int64_t least_limit(const fs::path& mount, const std::string& group, const char* file) {
  int64_t least = number_in(mount / file);
  for (fs::path path = fs::path(group).relative_path(); !path.empty(); path = path.parent_path()) {
    least = std::min(least, number_in(mount / path / file));
  }
  return least;
}

// What the machine can give without swapping; INT64_MAX where it does not say.
int64_t machine_available(const fs::path& root) {
  std::ifstream file(root / "proc/meminfo");
  std::string key, rest;
  for (int64_t kib = 0; file >> key >> kib; std::getline(file, rest)) {
    if (key == "MemAvailable:") return kib * 1024;
  }
  return INT64_MAX;
}

int64_t resident(const fs::path& root) {
  std::ifstream file(root / "proc/self/statm");
  int64_t size = 0, pages = 0;
  return file >> size >> pages ? pages * sysconf(_SC_PAGESIZE) : 0;
}

}  // namespace

int64_t memory_limit(const fs::path& root) {
  int64_t least = int64_t{sysconf(_SC_PHYS_PAGES)} * sysconf(_SC_PAGESIZE);
  const fs::path mounts = root / "sys/fs/cgroup";
  std::ifstream groups(root / "proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {  // "4:memory:/group", "0::/group"
    const size_t first = line.find(':');
    const size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    const std::string group = line.substr(second + 1);
    if (controllers == ",,") least = std::min(least, least_limit(mounts, group, "memory.max"));
    if (controllers.find(",memory,") == std::string::npos) continue;
    least = std::min(least, least_limit(mounts / "memory", group, "memory.limit_in_bytes"));
  }
  return least;
}

int64_t available_memory(const fs::path& root) {
  const int64_t unused = std::max<int64_t>(memory_limit(root) - resident(root), 0);
  return std::min(machine_available(root), unused);
}

}  // namespace weft
