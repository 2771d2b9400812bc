#include "workflow/steps.h"

#include <cctype>
#include <optional>
#include <string_view>

#include "workflow/completion_form.h"
#include "workflow/python_text.h"

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

/// Calls visit(text up to the line, its digits, line) for each line that opens a step.
template <class Visit>
void for_each_step(const std::string& code, Visit visit) {
  for (const auto line : code_lines(code)) {
    if (const auto digits = step_digits(line)) {
      visit(static_cast<size_t>(line.data() - code.data()), *digits, line);
    }
  }
}

}  // namespace

std::vector<std::string> split_steps(const std::string& code) {
  std::vector<size_t> starts;
  for_each_step(code,
                [&](size_t at, const StepDigits&, std::string_view) { starts.push_back(at); });
  if (!starts.empty()) starts.front() = 0;  // the header belongs to step 1
  if (starts.empty() && !code.empty()) starts.push_back(0);
  std::vector<std::string> steps;
  for (size_t i = 0; i < starts.size(); ++i) {
    const size_t end = i + 1 < starts.size() ? starts[i + 1] : code.size();
    steps.push_back(code.substr(starts[i], end - starts[i]));
  }
  return steps;
}

std::string join_steps(const std::vector<std::string>& steps) {
  std::string code;
  for (const auto& step : steps) code += step;
  return code;
}

std::vector<int> step_numbers(const std::string& code) {
  std::vector<int> numbers;
  for_each_step(code, [&](size_t, const StepDigits& digits, std::string_view line) {
    numbers.push_back(std::stoi(std::string(line.substr(digits.begin, digits.end - digits.begin))));
  });
  return numbers;
}

std::string first_step_title(const std::string& code) {
  std::string title;
  bool seen = false;
  for_each_step(code, [&](size_t, const StepDigits& digits, std::string_view line) {
    if (!seen) title = trimmed(line.substr(digits.end + 1));
    seen = true;
  });
  return title;
}

std::string renumber_steps(const std::string& code) {
  std::string result;
  size_t copied = 0;
  int number = 0;
  for_each_step(code, [&](size_t at, const StepDigits& digits, std::string_view) {
    result += code.substr(copied, at + digits.begin - copied) + std::to_string(++number);
    copied = at + digits.end;
  });
  return result + code.substr(copied);
}

}  // namespace weft
