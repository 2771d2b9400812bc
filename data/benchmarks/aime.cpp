#include "data/benchmarks/loaders.h"

namespace weft {

BenchmarkRow load_aime(RowFields& row) {
  BenchmarkRow parsed;
  parsed.kind = TaskKind::kMath;
  parsed.id = row.id_or_index({"ID", "id", "unique_id", "task_id"}, "aime");
  parsed.prompt = row.first_text({"problem", "Problem", "question"});
  parsed.answer = row.text_or_number({"answer", "Answer"});
  parsed.meta = row.some({"year", "url", "problem_type"});
  for (const char* solution : {"solution", "Solution"}) row.ignore(solution);
  // Published forms have the answer as "025", 25 and "25".
  if (parsed.answer.empty() || parsed.answer.size() > 3 ||
      parsed.answer.find_first_not_of("0123456789") != std::string::npos) {
    row.fail("answer: expected a whole number from 0 to 999, got \"" + parsed.answer + "\"");
  }
  parsed.answer = std::to_string(std::stoi(parsed.answer));
  return parsed;
}

}  // namespace weft
