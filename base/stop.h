/// SIGINT and SIGTERM as a flag that long work looks at.
#pragma once

#include <atomic>
#include <functional>
#include <memory>

namespace weft {

/// The first SIGINT or SIGTERM sets the flag; a second one ends the process at once.
void install_stop_handlers();

/// The signal that asked for an end, or 0.
int stop_signal();

/// True once one did. Never null, and the same one at every call.
std::shared_ptr<const std::atomic<bool>> stop_flag();

/// Throws Interrupted when one did.
void throw_if_stopped();

/// Called between the pieces of long work, by the thread that does it: drops the work by throwing.
/// Empty: the work is not to be dropped.
using StopCheck = std::function<void()>;

/// Calls it unless it is empty.
inline void look(const StopCheck& stop) {
  if (stop) stop();
}

}  // namespace weft
