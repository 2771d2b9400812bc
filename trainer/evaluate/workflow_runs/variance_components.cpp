#include "trainer/evaluate/workflow_runs/variance_components.h"

#include <algorithm>

#include "base/error.h"
#include "trainer/evaluate/workflow_runs/headroom.h"

namespace weft {

namespace {

/// Sums of squares of one query.
struct QuerySquares {
  double interaction = 0;  ///< of means over runs, without the factor R
  double noise = 0;
};

QuerySquares squares_of(const RunScores& scores, const std::vector<std::vector<double>>& means,
                        const std::vector<double>& workflows, double grand, size_t query) {
  double query_mean = 0;
  for (const auto& row : means) query_mean += row[query] / static_cast<double>(means.size());
  QuerySquares squares;
  for (size_t w = 0; w < means.size(); ++w) {
    const double c = means[w][query] - workflows[w] - query_mean + grand;
    squares.interaction += c * c;
    for (size_t r = 0; r < scores.num_runs(); ++r) {
      const double e = scores.at(w, r, query) - means[w][query];
      squares.noise += e * e;
    }
  }
  return squares;
}

}  // namespace

VarianceComponents estimate_variance_components(const RunScores& scores,
                                                const BootstrapOptions& options) {
  WEFT_ASSERT(std::min({scores.num_workflows(), scores.num_runs(), scores.num_queries()}) >= 2);
  const auto num_workflows = static_cast<double>(scores.num_workflows());
  const auto num_runs = static_cast<double>(scores.num_runs());
  const auto num_queries = static_cast<double>(scores.num_queries());
  const auto means = scores.query_means();
  const std::vector<double> workflows = workflow_means(means);
  double grand = 0;
  for (const double mean : workflows) grand += mean / num_workflows;
  std::vector<double> interaction, noise;
  for (size_t q = 0; q < scores.num_queries(); ++q) {
    const QuerySquares squares = squares_of(scores, means, workflows, grand, q);
    noise.push_back(squares.noise / (num_workflows * (num_runs - 1)));
    const double of_means =
        squares.interaction / (num_workflows - 1) * num_queries / (num_queries - 1);
    interaction.push_back(of_means - noise.back() / num_runs);
  }
  return {estimate_mean(one_each(interaction), options, kNoBounds),
          estimate_mean(one_each(noise), options, kNoBounds)};
}

}  // namespace weft
