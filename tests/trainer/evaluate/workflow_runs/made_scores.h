/// Scores with known truth.
#pragma once

#include <functional>
#include <vector>

#include "base/rng.h"
#include "trainer/evaluate/workflow_runs/run_scores.h"

namespace weft::test {

/// 0/1 scores; `chance` gives P(1) of a workflow on a query.
inline RunScores drawn_scores(size_t workflows, size_t runs, size_t queries, Rng& rng,
                              const std::function<double(size_t, size_t)>& chance) {
  RunScores scores(workflows, runs, queries);
  for (size_t w = 0; w < workflows; ++w) {
    for (size_t r = 0; r < runs; ++r) {
      for (size_t q = 0; q < queries; ++q) scores.at(w, r, q) = rng.uniform() < chance(w, q);
    }
  }
  return scores;
}

/// rows[workflow][run][query].
inline RunScores given_scores(const std::vector<std::vector<std::vector<double>>>& rows) {
  RunScores scores(rows.size(), rows[0].size(), rows[0][0].size());
  for (size_t w = 0; w < rows.size(); ++w) {
    for (size_t r = 0; r < rows[w].size(); ++r) {
      for (size_t q = 0; q < rows[w][r].size(); ++q) scores.at(w, r, q) = rows[w][r][q];
    }
  }
  return scores;
}

/// Equal costs.
inline std::vector<double> one_dollar_each(const RunScores& scores) {
  return std::vector<double>(scores.num_workflows(), 1.0);
}

}  // namespace weft::test
