#include "data/benchmarks/choices.h"
#include "data/benchmarks/loaders.h"

namespace weft {

BenchmarkRow load_mmlu(RowFields& row) {
  BenchmarkRow parsed;
  parsed.id = row.id_or_index({"id", "question_id", "task_id"}, "mmlu");
  const Json answer = row.value("answer");
  const std::vector<std::string> options = row.texts("choices");
  size_t right = options.size();
  if (answer.is_number_integer() && answer.get<int64_t>() >= 0) {
    right = answer.get<size_t>();
  } else if (answer.is_string() && answer.get_ref<const std::string&>().size() == 1) {
    right = static_cast<size_t>(answer.get_ref<const std::string&>()[0] - 'A');
  }
  set_choices(parsed, row, row.text("question"), options, right);
  parsed.meta = row.some({"subject"});
  return parsed;
}

BenchmarkRow load_mmlu_pro(RowFields& row) {
  BenchmarkRow parsed;
  parsed.id = row.id("question_id", "mmlu_pro/");
  const std::string letter = row.text("answer");
  std::vector<std::string> options = row.texts("options");
  while (!options.empty() && options.back() == "N/A") options.pop_back();  // as its own script
  const size_t right = letter.size() == 1 ? static_cast<size_t>(letter[0] - 'A') : options.size();
  const Json index = row.has("answer_index") ? row.value("answer_index") : Json(right);
  if (index != Json(right)) row.fail("answer and answer_index differ");
  set_choices(parsed, row, row.text("question"), options, right);
  parsed.meta = row.some({"category", "src"});
  row.text_or("cot_content", "");
  return parsed;
}

}  // namespace weft
