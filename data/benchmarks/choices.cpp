#include "data/benchmarks/choices.h"

#include <algorithm>

namespace weft {

void set_choices(BenchmarkRow& parsed, RowFields& row, const std::string& question,
                 const std::vector<std::string>& options, size_t right) {
  if (options.size() < 2 || options.size() > 10) {
    row.fail("expected 2 to 10 options, got " + std::to_string(options.size()));
  }
  if (right >= options.size()) row.fail("answer: expected one of the options");
  if (std::count(options.begin(), options.end(), options[right]) > 1) {
    row.fail("the right option is there twice");
  }
  parsed.kind = TaskKind::kChoice;
  parsed.prompt = question;
  for (size_t i = 0; i < options.size(); ++i) {
    parsed.prompt += "\n" + std::string(1, static_cast<char>('A' + i)) + ". " + options[i];
  }
  parsed.answer = std::string(1, static_cast<char>('A' + right));
}

}  // namespace weft
