#include "workflow/user_function.h"

namespace weft {

Limits user_function_limits() {
  Limits limits;
  limits.cpu_ms = 10000;
  limits.memory_mb = 1024;
  return limits;
}

PythonValue task_for_user(const Task& task) {
  const Json seen = {{"id", task.id},
                     {"dataset", task.dataset},
                     {"kind", to_string(task.kind)},
                     {"prompt", task.prompt},
                     {"answer", task.answer}};
  return value_from_json(seen, "task");
}

std::optional<double> number_of(const PythonValue& value) {
  switch (value.kind) {
    case PythonValue::Kind::kBool:
    case PythonValue::Kind::kInt:
      return static_cast<double>(value.number);
    case PythonValue::Kind::kFloat:
      return value.real;
    default:
      return std::nullopt;
  }
}

}  // namespace weft
