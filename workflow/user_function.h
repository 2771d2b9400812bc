/// Python functions of a user's own that are asked about a task: their limits, what they see of it,
/// and how their numbers are read.
#pragma once

#include <optional>
#include <string>

#include "data/task.h"
#include "sandbox/jail/limits.h"
#include "sandbox/value/value.h"

namespace weft {

/// 10 s of CPU time and 1 GiB.
Limits user_function_limits();

/// A dict of "id", "dataset", "kind", "prompt" and "answer", the gold one: no tests.
PythonValue task_for_user(const Task& task);

/// A bool, int, float, Fraction or Decimal as a double; infinite where it is larger than
/// any, NaN where the float is. None of anything else.
std::optional<double> number_of(const PythonValue& value);

/// The text of such a file, without a byte order mark. Throws InputError naming the file, and the
/// line where it is not UTF-8.
std::string read_user_file(const std::string& file);

}  // namespace weft
