/// Rows of tests/fixtures/scorer_rows.jsonl, written by hand: an answer, a prediction, and what
/// that is worth.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/jsonl.h"
#include "data/scorers/score.h"
#include "tests/support/support.h"

namespace weft::test {

struct ScorerRow {
  Task task;
  std::string prediction;
  Scorer scorer = Scorer::kOfficial;
  double score = 0;
  std::string text;  ///< of the row, for messages
};

/// Of the fixture, or a file of its form.
inline std::vector<ScorerRow> read_scorer_rows(const std::filesystem::path& file) {
  std::vector<ScorerRow> rows;
  JsonlReader reader(file);
  JsonlLine line;
  while (reader.next(line)) {
    ScorerRow row;
    row.text = dump_json(line.value);
    row.task.id = std::to_string(rows.size());
    row.task.dataset = line.value.at("dataset");
    const std::string& dataset = row.task.dataset;
    row.task.kind = dataset == "hotpotqa" || dataset == "drop" ? TaskKind::kQa
                    : dataset == "mmlu" || dataset == "gpqa"   ? TaskKind::kChoice
                                                               : TaskKind::kMath;
    row.task.prompt = line.value.value("prompt", "");
    row.task.answer = line.value.at("answer");
    row.prediction = line.value.at("prediction");
    row.scorer = line.value.contains("scorer") ? Scorer::kAflow : Scorer::kOfficial;
    row.score = line.value.at("score");
    rows.push_back(std::move(row));
  }
  return rows;
}

inline std::vector<ScorerRow> scorer_rows() {
  return read_scorer_rows(fixture("scorer_rows.jsonl"));
}

}  // namespace weft::test
