/// What the machine bounds: sizes that a config asks for and that no machine like this one has.
#pragma once

#include <cstdint>

namespace weft {

/// Cores that this process may run on, at least 1.
int64_t num_cores();

/// Threads, or processes that compute, that a config may ask for: some for each core.
int64_t max_threads();

/// Throws InputError, "NAME: expected 0 to MOST, 16 for each of the machine's N cores, got VALUE",
/// unless 0 <= threads <= max_threads().
void require_threads(const char* name, int64_t threads);

/// Throws InputError unless `mb` is at most the memory of the machine, or of this process' cgroup,
/// in MiB.
void require_memory_mb(const char* name, int64_t mb);

}  // namespace weft
