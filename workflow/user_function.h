/// Python functions of a user's own that are asked about a task: their limits, what they see of it,
/// and how their numbers are read.
#pragma once

#include <optional>

#include "data/task.h"
#include "sandbox/jail/limits.h"
#include "sandbox/value/value.h"

namespace weft {

/// 10 s of CPU time and 1 GiB.
Limits user_function_limits();

/// A dict of "id", "dataset", "kind", "prompt" and "answer", the gold one: no tests.
PythonValue task_for_user(const Task& task);

/// The value of a bool, an int of 64 bits or a float, which may be NaN; none of anything else.
std::optional<double> number_of(const PythonValue& value);

}  // namespace weft
