#include "trainer/evaluate/workflow_runs/headroom.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "base/rng.h"

namespace weft {

namespace {

/// Means of equal scores in another order differ by rounding.
constexpr double kRounding = 1e-9;

double dollars(double usd) {
  return std::isnan(usd) ? std::numeric_limits<double>::infinity() : usd;
}

RunSplit split_of(const std::vector<char>& chooses) {
  RunSplit split;
  for (size_t run = 0; run < chooses.size(); ++run) {
    (chooses[run] ? split.choose : split.score).push_back(run);
  }
  return split;
}

/// n over k, or more than `most`.
size_t num_choices(size_t n, size_t k, size_t most) {
  size_t count = 1;
  for (size_t i = 1; i <= k && count <= most; ++i) count = count * (n - k + i) / i;
  return count;
}

/// Best on the query; of equal ones the best over all.
size_t best_on_query(const std::vector<std::vector<double>>& means, size_t query,
                     const std::vector<double>& overall, std::span<const double> usd) {
  double highest = 0;
  for (const auto& of_workflow : means) highest = std::max(highest, of_workflow[query]);
  std::vector<size_t> equal;
  for (size_t w = 0; w < means.size(); ++w) {
    if (means[w][query] >= highest - kRounding) equal.push_back(w);
  }
  return best_workflow(overall, equal, usd);
}

}  // namespace

std::vector<RunSplit> run_splits(size_t num_runs, size_t most) {
  std::vector<RunSplit> splits;
  if (num_runs < 2) return splits;
  const size_t num_choose = (num_runs + 1) / 2;
  std::vector<char> chooses(num_runs);
  std::fill_n(chooses.begin(), num_choose, 1);
  if (num_choices(num_runs, num_choose, most) <= most) {
    do {
      splits.push_back(split_of(chooses));
    } while (std::prev_permutation(chooses.begin(), chooses.end()));
    return splits;
  }
  Rng rng(/*seed=*/0, /*stream=*/0x73706c74);
  while (splits.size() < most) {
    rng.shuffle(chooses);
    splits.push_back(split_of(chooses));
  }
  return splits;
}

size_t best_workflow(std::span<const double> means, std::span<const size_t> candidates,
                     std::span<const double> usd) {
  WEFT_ASSERT(!candidates.empty());
  size_t best = candidates[0];
  for (const size_t w : candidates) {
    const bool higher = means[w] > means[best] + kRounding;
    const bool equal = means[w] >= means[best] - kRounding;
    if (higher || (equal && dollars(usd[w]) < dollars(usd[best]))) best = w;
  }
  return best;
}

std::vector<double> workflow_means(const std::vector<std::vector<double>>& query_means) {
  std::vector<double> means;
  for (const auto& row : query_means) {
    means.push_back(std::accumulate(row.begin(), row.end(), 0.0) / static_cast<double>(row.size()));
  }
  return means;
}

Headroom estimate_headroom(const RunScores& scores, std::span<const double> usd) {
  const std::vector<RunSplit> splits = run_splits(scores.num_runs());
  WEFT_ASSERT(!splits.empty());
  std::vector<size_t> all(scores.num_workflows());
  std::iota(all.begin(), all.end(), size_t{0});
  const size_t num_queries = scores.num_queries();
  Headroom headroom{std::vector<double>(num_queries), std::vector<double>(num_queries)};
  for (const RunSplit& split : splits) {
    const auto choosing = scores.query_means(split.choose);
    const auto scoring = scores.query_means(split.score);
    const std::vector<double> overall = workflow_means(choosing);
    const size_t fixed = best_workflow(overall, all, usd);
    for (size_t q = 0; q < num_queries; ++q) {
      headroom.fixed[q] += scoring[fixed][q];
      headroom.by_query[q] += scoring[best_on_query(choosing, q, overall, usd)][q];
    }
  }
  // Sums are divided last: the mean of numbers that are at most 1 is then at most 1.
  const auto num_splits = static_cast<double>(splits.size());
  for (double& sum : headroom.fixed) sum /= num_splits;
  for (double& sum : headroom.by_query) sum /= num_splits;
  return headroom;
}

}  // namespace weft
