#include <set>

#include "data/benchmarks/loaders.h"

namespace weft {
namespace {

// Every span once, as AFlow's file joins them: "span|other span".
std::string answer_of(RowFields& row) {
  const Json spans = row.value("answers_spans");
  const Json texts = spans.is_object() ? spans.value("spans", Json()) : Json();
  if (!texts.is_array() || texts.empty()) row.fail("answers_spans: expected spans");
  std::string answer;
  std::set<std::string> seen;
  for (const auto& text : texts) {
    if (!text.is_string()) row.fail("answers_spans: expected spans as strings");
    if (!seen.insert(text).second) continue;
    answer += (answer.empty() ? "" : "|") + text.get<std::string>();
  }
  return answer;
}

}  // namespace

BenchmarkRow load_drop(RowFields& row) {
  BenchmarkRow parsed;
  parsed.kind = TaskKind::kQa;
  if (row.has("passage")) {
    parsed.id = row.first_text({"query_id", "id"});
    parsed.prompt = "Passage: " + row.text("passage") + "\nQuestion: " + row.text("question");
    parsed.answer = answer_of(row);
    row.ignore("section_id");
  } else {
    parsed.id = row.id_or_index({"id", "task_id"}, "drop");
    parsed.split_key = parsed.id;
    parsed.prompt = row.text("context");
    parsed.answer = row.text("ref_text");
    row.text_or("completion", "");
  }
  if (parsed.answer.empty()) row.fail("expected an answer, got an empty one");
  return parsed;
}

}  // namespace weft
