#include "base/memory.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "tests/support/support.h"

namespace weft {
namespace {

constexpr int64_t kMb = 1 << 20;

/// A machine's root folder with these groups of the process and limits of groups.
class Machine {
 public:
  explicit Machine(const std::string& groups) { write("proc/self/cgroup", groups); }

  void write(const std::string& file, const std::string& text) {
    const std::filesystem::path path = root_ / file;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << text << "\n";
  }
  int64_t limit() const { return memory_limit(root_.path()); }
  int64_t available() const { return available_memory(root_.path()); }

 private:
  test::TempDir root_;
};

TEST(MemoryLimit, IsTheMachinesWithoutGroups) {
  const test::TempDir nothing;
  EXPECT_GT(memory_limit(nothing.path()), 64 * kMb);
  EXPECT_LE(memory_limit(), memory_limit(nothing.path()));
}

TEST(MemoryLimit, IsThatOfTheTightestGroupAround) {
  Machine machine("0::/slurm/job_7/step_0");
  const int64_t all = machine.limit();
  machine.write("sys/fs/cgroup/slurm/job_7/step_0/memory.max", "max");
  EXPECT_EQ(machine.limit(), all);
  machine.write("sys/fs/cgroup/slurm/job_7/memory.max", std::to_string(32 * kMb));
  EXPECT_EQ(machine.limit(), 32 * kMb);
  machine.write("sys/fs/cgroup/slurm/job_7/step_0/memory.max", std::to_string(16 * kMb));
  EXPECT_EQ(machine.limit(), 16 * kMb);
  machine.write("sys/fs/cgroup/other/memory.max", std::to_string(kMb));
  EXPECT_EQ(machine.limit(), 16 * kMb);
}

TEST(MemoryLimit, ReadsTheFirstVersionToo) {
  Machine machine("5:devices:/a\n4:cpuset,memory:/container/a\n0::/");
  machine.write("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712");
  const int64_t all = machine.limit();
  machine.write("sys/fs/cgroup/memory/container/memory.limit_in_bytes", std::to_string(8 * kMb));
  EXPECT_EQ(machine.limit(), 8 * kMb);
  EXPECT_GT(all, 8 * kMb);
}

TEST(AvailableMemory, IsTheLessOfMachineAndLimit) {
  Machine machine("0::/job");
  machine.write("proc/meminfo", "MemTotal: 999999 kB\nMemFree: 10 kB\nMemAvailable: 20480 kB");
  EXPECT_EQ(machine.available(), 20 * kMb);
  machine.write("sys/fs/cgroup/job/memory.max", std::to_string(16 * kMb));
  EXPECT_EQ(machine.available(), 16 * kMb);
  const int64_t pages = 6 * kMb / sysconf(_SC_PAGESIZE);
  machine.write("proc/self/statm", "99999 " + std::to_string(pages) + " 1 1 0 1 0");
  EXPECT_EQ(machine.available(), 10 * kMb);
  machine.write("sys/fs/cgroup/job/memory.max", std::to_string(4 * kMb));
  EXPECT_EQ(machine.available(), 0);
}

TEST(MemoryLimit, TakesNothingFromBrokenLines) {
  Machine machine("\nmemory\n4:memory\n");
  machine.write("sys/fs/cgroup/memory/memory.limit_in_bytes", std::to_string(kMb));
  EXPECT_GT(machine.limit(), 64 * kMb);
}

}  // namespace
}  // namespace weft
