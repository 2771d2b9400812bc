/// What one jailed job may use.
#pragma once

#include <cstdint>
#include <string>

#include "data/task_files.h"

namespace weft {

struct Limits {
  int64_t cpu_ms = 2000;  ///< CPU time of one test, measured from outside; > 0
  /// Wall time of one test, a backstop for code that sleeps; 0 stands for 3 x cpu_ms + 2000.
  int64_t wall_ms = 0;
  /// Wall time of all tests together, loading the code included; 0 stands for the smaller of 60000
  /// and the number of tests x the wall time of one.
  int64_t job_wall_ms = 0;
  int64_t memory_mb = 256;         ///< address space of the job beyond the interpreter's own; > 0
  int64_t output_bytes = 1 << 20;  ///< standard output and error together; the job ends at it
  int64_t max_procs = 0;           ///< further processes the job may start; 0 refuses fork
  /// An empty /tmp of that size as working folder, 256 names at most; 0: nothing to write on. -1
  /// stands for 16, and for 0 at tier C, which has none.
  int64_t scratch_mb = -1;

  int64_t wall_limit_ms() const { return wall_ms > 0 ? wall_ms : 3 * cpu_ms + 2000; }
  int64_t job_wall_limit_ms(int64_t num_tests) const;
  int64_t scratch_limit_mb(const std::string& tier) const;
  /// Throws InputError naming the limit where a job's folder could not hold its files.
  void require_room_for(const TaskFiles& files, const std::string& tier) const;

  /// Throws InputError naming the field, expected and got.
  void validate() const;
};

}  // namespace weft
