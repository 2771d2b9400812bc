#include "workflow/user_function.h"

#include <fmt/format.h>

#include <cmath>
#include <cstdlib>
#include <string_view>

#include "base/error.h"
#include "base/file.h"
#include "base/utf8.h"

namespace weft {
namespace {

/// More bytes are beyond a double and beyond a long double.
constexpr size_t kMaxIntegerBytes = 2100;

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

long double integer_of(const PythonValue& value) {
  if (value.kind == PythonValue::Kind::kInt) return static_cast<long double>(value.number);
  if (value.text.size() > kMaxIntegerBytes) {
    const bool is_negative = (static_cast<unsigned char>(value.text.back()) & 0x80) != 0;
    return is_negative ? -HUGE_VALL : HUGE_VALL;
  }
  return std::strtold(int_digits(value).c_str(), nullptr);
}

}  // namespace

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
      return static_cast<double>(value.number);
    case PythonValue::Kind::kInt:
    case PythonValue::Kind::kBigInt:
      return static_cast<double>(integer_of(value));
    case PythonValue::Kind::kFraction:
      return static_cast<double>(integer_of(value.items[0]) / integer_of(value.items[1]));
    case PythonValue::Kind::kFloat:
      return value.real;
    default:
      return std::nullopt;
  }
}

std::string read_user_file(const std::string& file) {
  std::string text = read_file(file);
  if (text.starts_with(kByteOrderMark)) text.erase(0, kByteOrderMark.size());
  int64_t line = 1;
  for (size_t at = 0; at < text.size();) {
    const Utf8Char c = decode_utf8(text, at);
    if (!c.valid) throw InputError(fmt::format("{}: line {}: expected UTF-8", file, line));
    line += c.code == U'\n';
    at += static_cast<size_t>(c.length);
  }
  return text;
}

}  // namespace weft
