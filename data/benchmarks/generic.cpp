#include "data/benchmarks/choices.h"
#include "data/benchmarks/loaders.h"

namespace weft {
namespace {

TaskKind kind_of(RowFields& row, const std::string& name) {
  for (const auto kind : {TaskKind::kMath, TaskKind::kQa, TaskKind::kChoice}) {
    if (name == to_string(kind)) return kind;
  }
  row.fail("kind: expected math, qa or choice, got \"" + name + "\" (code has tests: write tasks)");
}

}  // namespace

BenchmarkRow load_generic(RowFields& row) {
  BenchmarkRow parsed;
  parsed.id = row.id_or_index({"id", "task_id"}, "jsonl");
  const std::string prompt = row.first_text({"prompt", "question", "problem"});
  const bool has_options = row.has("options") || row.has("choices");
  parsed.kind = kind_of(row, row.text_or("kind", has_options ? "choice" : "qa"));
  parsed.meta = row.has("meta") ? row.value("meta") : Json::object();
  parsed.answer = row.text_or_number({"answer"});
  if (parsed.answer.empty()) row.fail("answer: expected one, got an empty text");
  if (!has_options) {
    parsed.prompt = prompt;
    return parsed;
  }
  if (parsed.kind != TaskKind::kChoice) row.fail("options: only a choice has them");
  const auto options = row.texts(row.has("options") ? "options" : "choices");
  size_t right = 0;
  while (right < options.size() && options[right] != parsed.answer) ++right;
  if (right == options.size() && parsed.answer.size() == 1) {
    right = static_cast<size_t>(parsed.answer[0] - 'A');
  }
  set_choices(parsed, row, prompt, options, right);
  return parsed;
}

}  // namespace weft
