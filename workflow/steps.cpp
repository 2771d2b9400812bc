#include "workflow/steps.h"

#include <cctype>
#include <optional>
#include <string_view>

namespace weft {
namespace {

constexpr std::string_view kStepMark = "# Step ";

/// Digits of a line "   # Step 12: ..." as (begin, end) in the line; none for another line.
struct StepDigits {
  size_t begin = 0, end = 0;
};

std::optional<StepDigits> step_digits(std::string_view line) {
  const size_t start = line.find_first_not_of(" \t");
  if (start == std::string_view::npos || line.substr(start, kStepMark.size()) != kStepMark) {
    return std::nullopt;
  }
  StepDigits digits;
  digits.begin = digits.end = start + kStepMark.size();
  while (digits.end < line.size() && std::isdigit(static_cast<unsigned char>(line[digits.end]))) {
    ++digits.end;
  }
  const size_t length = digits.end - digits.begin;
  if (length == 0 || length > 4 || digits.end >= line.size() || line[digits.end] != ':') {
    return std::nullopt;
  }
  return digits;
}

/// Calls visit(line with its newline, digits if it opens a step) for each line.
template <class Visit>
void for_each_line(std::string_view code, Visit visit) {
  for (size_t at = 0; at < code.size();) {
    const size_t newline = code.find('\n', at);
    const size_t end = newline == std::string_view::npos ? code.size() : newline + 1;
    const std::string_view line = code.substr(at, end - at);
    visit(line, step_digits(line));
    at = end;
  }
}

}  // namespace

std::vector<std::string> split_steps(const std::string& code) {
  std::vector<std::string> steps;
  bool seen_step = false;
  for_each_line(code, [&](std::string_view line, const std::optional<StepDigits>& digits) {
    if (steps.empty() || (digits && seen_step)) steps.emplace_back();
    seen_step = seen_step || digits;
    steps.back() += line;
  });
  return steps;
}

std::string join_steps(const std::vector<std::string>& steps) {
  std::string code;
  for (const auto& step : steps) code += step;
  return code;
}

std::vector<int> step_numbers(const std::string& code) {
  std::vector<int> numbers;
  for_each_line(code, [&](std::string_view line, const std::optional<StepDigits>& digits) {
    if (!digits) return;
    numbers.push_back(
        std::stoi(std::string(line.substr(digits->begin, digits->end - digits->begin))));
  });
  return numbers;
}

std::string renumber_steps(const std::string& code) {
  std::string result;
  int number = 0;
  for_each_line(code, [&](std::string_view line, const std::optional<StepDigits>& digits) {
    if (!digits) {
      result += line;
      return;
    }
    result += line.substr(0, digits->begin);
    result += std::to_string(++number);
    result += line.substr(digits->end);
  });
  return result;
}

}  // namespace weft
