#include <algorithm>
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

/// What a reference holds: a number, else spans, else a date.
std::vector<std::string> spans_of(RowFields& row, const Json& answer) {
  if (!answer.is_object()) row.fail("answer: expected number, spans or date");
  const Json number = answer.value("number", Json()), spans = answer.value("spans", Json()),
             date = answer.value("date", Json());
  if (number.is_string() && number != "") return {number};
  if (number.is_number()) return {number.dump()};
  if (spans.is_array() && !spans.empty()) {
    std::vector<std::string> texts;
    for (const Json& span : spans) {
      if (!span.is_string()) row.fail("answer: expected spans as strings");
      texts.push_back(span);
    }
    return texts;
  }
  if (!date.is_object()) row.fail("answer: expected number, spans or date");
  std::string text;
  for (const char* part : {"day", "month", "year"}) {
    const Json value = date.value(part, Json());
    const std::string word = value.is_string() ? value.get<std::string>() : "";
    if (!word.empty()) text += (text.empty() ? "" : " ") + word;
  }
  return {text};
}

/// References by "|", the spans of one by lines; neither sign is left in a span, where the scorer
/// takes it for nothing ("|") or a blank.
std::string references_of(RowFields& row) {
  Json references = Json::array({row.value("answer")});
  for (const Json& answer : row.array("validated_answers")) references.push_back(answer);
  std::string gold;
  std::set<std::string> seen;
  for (const Json& reference : references) {
    std::string text;
    for (std::string span : spans_of(row, reference)) {
      std::erase(span, '|');
      std::replace(span.begin(), span.end(), '\n', ' ');
      text += (text.empty() ? "" : "\n") + trimmed(span);
    }
    if (trimmed(text).empty() || !seen.insert(text).second) continue;
    gold += (gold.empty() ? "" : "|") + text;
  }
  return gold;
}

}  // namespace

BenchmarkRow load_drop(RowFields& row) {
  BenchmarkRow parsed;
  parsed.kind = TaskKind::kQa;
  if (row.has("passage")) {
    parsed.id = row.first_text({"query_id", "id"});
    parsed.prompt = "Passage: " + row.text("passage") + "\nQuestion: " + row.text("question");
    parsed.answer = row.has("answers_spans") ? answer_of(row) : references_of(row);
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
