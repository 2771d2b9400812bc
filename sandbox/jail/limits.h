/// What one jailed job may use.
#pragma once

#include <cstdint>

namespace weft {

struct Limits {
  int64_t cpu_ms = 2000;  ///< CPU time of one test, measured from outside; > 0
  /// Wall time of one test, a backstop for code that sleeps; 0 stands for 3 x cpu_ms + 2000.
  int64_t wall_ms = 0;
  int64_t memory_mb = 256;         ///< address space of the job beyond the interpreter's own; > 0
  int64_t output_bytes = 1 << 20;  ///< standard output and error together; the job ends at it
  int64_t max_procs = 0;           ///< further processes the job may start; 0 refuses fork
  /// An empty /tmp of that size, 256 names at most, and namespaces of the job's own; 0: nothing to
  /// write on. Not at tier C.
  int64_t scratch_mb = 0;

  int64_t wall_limit_ms() const { return wall_ms > 0 ? wall_ms : 3 * cpu_ms + 2000; }

  /// Throws InputError naming the field, expected and got.
  void validate() const;
};

}  // namespace weft
