/// The embedded CPython of a zygote: isolated, warm, the same for every child.
#pragma once

#include <string>

#include "sandbox/zygote/jail.h"
#include "sandbox/zygote/protocol.h"

namespace weft::zygote {

/// Starts Python (no environment, no site folders, no signal handlers, fixed hash seed, UTF-8) and
/// imports `modules`, separated by commas, with at-fork hooks suppressed. options.workflows adds
/// the weft module. Throws JailError naming what failed.
void start_interpreter(const JailOptions& options, const std::string& modules);

/// Forks with the GIL held; the child's interpreter is usable. Returns like fork.
int fork_interpreter();

/// The body of a child: reads its job from the channel, answers, and returns the exit status.
int run_child(ChildKind kind, uint64_t seed);

}  // namespace weft::zygote
