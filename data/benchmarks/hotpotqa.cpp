#include "data/benchmarks/loaders.h"

namespace weft {
namespace {

struct Paragraph {
  std::string title, text;
};

std::string joined(RowFields& row, const Json& sentences) {
  std::string text;
  if (!sentences.is_array()) row.fail("context: expected the sentences of each paragraph");
  for (const auto& sentence : sentences) {
    if (!sentence.is_string()) row.fail("context: expected sentences as strings");
    text += sentence.get_ref<const std::string&>();
  }
  return text;
}

// [[title, [sentence, ...]], ...] as published, or {"title": [..], "sentences": [[..], ..]} as
// exported from parquet.
std::vector<Paragraph> paragraphs_of(RowFields& row) {
  std::vector<Paragraph> paragraphs;
  const Json context = row.value("context");
  if (context.is_object()) {
    const Json titles = context.value("title", Json()), texts = context.value("sentences", Json());
    if (!titles.is_array() || !texts.is_array() || titles.size() != texts.size()) {
      row.fail("context: expected as many titles as lists of sentences");
    }
    for (size_t i = 0; i < titles.size(); ++i) {
      if (!titles[i].is_string()) row.fail("context: expected titles as strings");
      paragraphs.push_back({titles[i], joined(row, texts[i])});
    }
    return paragraphs;
  }
  if (!context.is_array()) row.fail("context: expected paragraphs");
  for (const auto& pair : context) {
    if (!pair.is_array() || pair.size() != 2 || !pair[0].is_string()) {
      row.fail("context: expected each paragraph as [title, sentences]");
    }
    paragraphs.push_back({pair[0], joined(row, pair[1])});
  }
  return paragraphs;
}

}  // namespace

BenchmarkRow load_hotpotqa(RowFields& row) {
  BenchmarkRow parsed;
  parsed.kind = TaskKind::kQa;
  parsed.id = row.id_or_index({"_id", "id"}, "hotpotqa");  // some of AFlow's are numbers
  parsed.split_key = parsed.id;
  for (const auto& [title, text] : paragraphs_of(row)) {
    parsed.prompt += title + ": " + trimmed(text) + "\n\n";
  }
  parsed.prompt += "Question: " + row.text("question");
  parsed.answer = row.text("answer");
  parsed.meta = row.some({"type", "level"});
  row.ignore("supporting_facts");
  return parsed;
}

}  // namespace weft
