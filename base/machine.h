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

/// Things under way at a time, each with a thread or buffers of its own, that a config may ask for:
/// 512 for each core, fewer where memory has no 4 MiB for each.
int64_t max_concurrent();

/// Throws InputError, "NAME: expected 1 to MOST, which this machine's N cores and M MiB of memory
/// allow, got VALUE", unless 1 <= count <= max_concurrent().
void require_concurrent(const char* name, int64_t count);

/// What one of a size takes at least, for require_room.
constexpr int64_t kTokenBytes = 4096;        ///< a token that is computed together with others
constexpr int64_t kSequenceBytes = 1 << 18;  ///< a text that is decoded: its logits
constexpr int64_t kRecordBytes = 4096;       ///< a sample, a workflow, an example in memory

/// Throws InputError, "NAME: expected at most MOST, which this machine's M MiB of memory hold, got
/// VALUE", where `count` things of `bytes` each are more than the memory that require_memory_mb
/// knows.
void require_room(const char* name, int64_t count, int64_t bytes);

/// Throws InputError unless `mb` is at most the memory of the machine, or of this process' cgroup,
/// in MiB.
void require_memory_mb(const char* name, int64_t mb);

}  // namespace weft
