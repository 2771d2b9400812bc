#include "trainer/evaluate/workflow_runs/coverage.h"

#include <algorithm>
#include <numeric>

#include "base/error.h"
#include "trainer/evaluate/workflow_runs/headroom.h"

namespace weft {

namespace {

std::vector<double> runs_of(const RunScores& scores, size_t workflow, size_t query) {
  std::vector<double> values;
  for (size_t r = 0; r < scores.num_runs(); ++r) values.push_back(scores.at(workflow, r, query));
  return values;
}

/// Expected best of one run of each of these workflows.
double expected_best_across(const RunScores& scores, std::span<const size_t> workflows,
                            size_t query) {
  std::vector<std::vector<double>> runs;
  std::vector<double> values;
  for (const size_t w : workflows) {
    runs.push_back(runs_of(scores, w, query));
    values.insert(values.end(), runs.back().begin(), runs.back().end());
  }
  std::sort(values.begin(), values.end());
  values.erase(std::unique(values.begin(), values.end()), values.end());
  double expected = 0, below = 0;
  for (const double value : values) {
    double up_to = 1;
    for (const auto& of_workflow : runs) {
      const auto count = std::count_if(of_workflow.begin(), of_workflow.end(),
                                       [value](double score) { return score <= value; });
      up_to *= static_cast<double>(count) / static_cast<double>(of_workflow.size());
    }
    expected += value * (up_to - below);
    below = up_to;
  }
  return std::min(expected, 1.0);  // rounding
}

/// The workflows from the best on, by these means.
std::vector<size_t> ranked(const std::vector<double>& means, const std::vector<double>& usd) {
  std::vector<size_t> left(means.size()), order;
  std::iota(left.begin(), left.end(), size_t{0});
  while (!left.empty()) {
    order.push_back(best_workflow(means, left, usd));
    left.erase(std::find(left.begin(), left.end(), order.back()));
  }
  return order;
}

/// Means of the workflows over all queries, or all but this one.
std::vector<double> ranking_means(const std::vector<std::vector<double>>& query_means,
                                  const std::vector<double>& overall, Ranking ranking,
                                  size_t query) {
  const size_t num_queries = query_means.front().size();
  if (ranking == Ranking::kAllQueries || num_queries == 1) return overall;
  std::vector<double> means = overall;
  const auto n = static_cast<double>(num_queries);
  for (size_t w = 0; w < means.size(); ++w) {
    means[w] = (n * means[w] - query_means[w][query]) / (n - 1);
  }
  return means;
}

}  // namespace

double expected_best_of(std::vector<double> run_scores, size_t k) {
  const size_t n = run_scores.size();
  WEFT_ASSERT(k >= 1 && k <= n);
  std::sort(run_scores.begin(), run_scores.end(), std::greater<>());
  // Chance that the i-th greatest is the greatest of the k: k / n for the first; from i to i + 1 a
  // factor (n - i - k + 1) / (n - i), with i from 1.
  double expected = 0, chance = static_cast<double>(k) / static_cast<double>(n);
  for (size_t i = 1; i + k <= n + 1; ++i) {
    expected += chance * run_scores[i - 1];
    if (i < n) chance *= static_cast<double>(n + 1 - i - k) / static_cast<double>(n - i);
  }
  return std::min(expected, 1.0);  // rounding
}

Coverage estimate_coverage(const RunScores& scores, const std::vector<double>& usd,
                           Ranking ranking) {
  const size_t num_queries = scores.num_queries();
  const size_t most_top = std::min(kCoverageExecutions, scores.num_workflows());
  const size_t most_runs = std::min(kCoverageExecutions, scores.num_runs());
  const auto query_means = scores.query_means();
  const std::vector<double> overall = workflow_means(query_means);
  Coverage coverage;
  coverage.top.assign(most_top, std::vector<double>(num_queries));
  coverage.repeated.assign(most_runs, std::vector<double>(num_queries));
  coverage.all.resize(num_queries);
  for (size_t q = 0; q < num_queries; ++q) {
    const auto order = ranked(ranking_means(query_means, overall, ranking, q), usd);
    const std::span<const size_t> best(order);
    for (size_t k = 1; k <= most_top; ++k) {
      coverage.top[k - 1][q] = expected_best_across(scores, best.first(k), q);
    }
    for (size_t k = 1; k <= most_runs; ++k) {
      coverage.repeated[k - 1][q] = expected_best_of(runs_of(scores, order[0], q), k);
    }
    coverage.all[q] = expected_best_across(scores, order, q);
  }
  return coverage;
}

}  // namespace weft
