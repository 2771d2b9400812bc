/// Stacks of the threads that a job starts.
#pragma once

#include <cstdint>

namespace weft::zygote {

/// In a child that may use `memory_bytes`: a thread whose stack would take what is left below half
/// of that gets a smaller one, down to 1 MiB, in place of failing.
void limit_thread_stacks(int64_t memory_bytes);

}  // namespace weft::zygote
