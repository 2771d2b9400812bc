#include "data/benchmarks/loaders.h"

namespace weft {

BenchmarkRow load_gsm8k(RowFields& row) {
  BenchmarkRow parsed;
  parsed.kind = TaskKind::kMath;
  parsed.id = row.id_or_index({"id", "task_id"}, "gsm8k");
  parsed.prompt = row.text("question");
  parsed.split_key = parsed.prompt;
  row.text_or("cot", "");
  const std::string worked = row.text_or_number({"answer"});
  constexpr std::string_view kMark = "####";
  const size_t mark = worked.rfind(kMark);
  parsed.answer = trimmed(mark == std::string::npos ? worked : worked.substr(mark + kMark.size()));
  std::erase(parsed.answer, ',');
  if (!is_decimal(parsed.answer)) {
    row.fail("answer: expected a number, or one behind \"####\", got \"" + worked + "\"");
  }
  return parsed;
}

BenchmarkRow load_gsm_hard(RowFields& row) {
  BenchmarkRow parsed;
  parsed.kind = TaskKind::kMath;
  parsed.id = row.id_or_index({"id", "task_id"}, "gsm_hard");
  parsed.prompt = row.text("input");
  row.text_or("code", "");
  parsed.answer = row.text_or_number({"target"});
  if (!is_decimal(parsed.answer)) row.fail("target: expected a number, got " + parsed.answer);
  return parsed;
}

}  // namespace weft
