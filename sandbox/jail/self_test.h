/// Proof at the start that the locks hold on this machine.
#pragma once

#include <string>

#include "sandbox/jail/zygote_process.h"

namespace weft {

/// Runs programs that read files and /proc, write, open sockets, fork, exec, signal, exit early,
/// return an always-equal object and forge frames. Throws Error naming the first that got through:
/// the sandbox must not serve then.
void self_test(ZygoteProcess& zygote, const std::string& tier);

/// Ratio of this machine's time for a fixed piece of Python to the reference machine's; at least 1.
double measure_time_scale(ZygoteProcess& zygote);

}  // namespace weft
