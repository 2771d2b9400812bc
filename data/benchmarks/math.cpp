#include "data/benchmarks/loaders.h"
#include "data/scorers/math_value.h"

namespace weft {
namespace {

BenchmarkRow math_row(RowFields& row, const std::string& dataset) {
  BenchmarkRow parsed;
  parsed.kind = TaskKind::kMath;
  parsed.id = row.id_or_index({"unique_id", "id", "task_id"}, dataset);
  parsed.prompt = row.text("problem");
  const std::string solution = row.text_or("solution", "");
  const std::string answer = row.text_or("answer", "");
  if (answer.empty()) {
    const Boxed boxed = last_boxed(solution);
    if (boxed.kind != Boxed::Kind::kComplete) {
      row.fail("solution: expected an answer in \\boxed{}, or a field \"answer\"");
    }
    parsed.answer = boxed.content;
  } else {
    parsed.answer = answer;
  }
  return parsed;
}

// AFlow takes the hardest problems of four subjects.
bool is_of_aflow(const Json& meta) {
  const Json type = meta.value("type", meta.value("subject", Json()));
  return meta.value("level", Json()) == "Level 5" &&
         (type == "Prealgebra" || type == "Number Theory" || type == "Precalculus" ||
          type == "Counting & Probability");
}

}  // namespace

BenchmarkRow load_math(RowFields& row) {
  BenchmarkRow parsed = math_row(row, "math");
  parsed.meta = row.some({"level", "type", "subject"});
  if (is_of_aflow(parsed.meta)) parsed.split_key = parsed.prompt;
  return parsed;
}

BenchmarkRow load_math500(RowFields& row) {
  BenchmarkRow parsed = math_row(row, "math500");
  parsed.meta = row.some({"level", "subject", "type"});
  return parsed;
}

}  // namespace weft
