#include "trainer/evaluate/workflow_runs/few_shot.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/check.h"
#include "base/error.h"
#include "base/machine.h"
#include "base/stop.h"

namespace weft {

namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

double mean_of(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

/// Queries that are executed, each with its weight; weights sum to 1.
struct DrawnQueries {
  std::vector<size_t> places;
  std::vector<double> weights;
};

double weighted(const std::vector<double>& values, const DrawnQueries& drawn) {
  double sum = 0;
  for (size_t i = 0; i < drawn.places.size(); ++i)
    sum += drawn.weights[i] * values[drawn.places[i]];
  return sum;
}

double unweighted(const std::vector<double>& values, const DrawnQueries& drawn) {
  double sum = 0;
  for (const size_t place : drawn.places) sum += values[place];
  return sum / static_cast<double>(drawn.places.size());
}

Spread spread_of(const std::vector<double>& draws) {
  std::vector<double> values;
  std::copy_if(draws.begin(), draws.end(), std::back_inserter(values),
               [](double value) { return !std::isnan(value); });
  if (values.empty()) return {kNaN, kNaN, 0};
  Spread spread{mean_of(values), kNaN, static_cast<int64_t>(values.size())};
  if (values.size() < 2) return spread;
  double squares = 0;
  for (const double value : values) squares += (value - spread.mean) * (value - spread.mean);
  spread.sd = std::sqrt(squares / static_cast<double>(values.size() - 1));
  return spread;
}

/// One run of a workflow.
std::vector<double> run_of(const RunScores& scores, size_t workflow, size_t run) {
  std::vector<double> row;
  for (size_t q = 0; q < scores.num_queries(); ++q) row.push_back(scores.at(workflow, run, q));
  return row;
}

/// Mean over all queries and all runs but this, or this one where there is no other.
double full_evaluation(const RunScores& scores, size_t workflow, size_t run) {
  double sum = 0;
  size_t count = 0;
  for (size_t r = 0; r < scores.num_runs(); ++r) {
    if (r == run && scores.num_runs() > 1) continue;
    sum += mean_of(run_of(scores, workflow, r));
    ++count;
  }
  return sum / static_cast<double>(count);
}

std::vector<double> difficulties(const RunScores& scores, size_t warm_up, Rng& rng) {
  std::vector<double> means(scores.num_queries());
  for (size_t w = 0; w < warm_up; ++w) {
    const size_t run = rng.below(scores.num_runs());
    for (size_t q = 0; q < means.size(); ++q) {
      means[q] += scores.at(w, run, q) / static_cast<double>(warm_up);
    }
  }
  return means;
}

DrawnQueries draw_queries(const std::vector<double>& difficulty, size_t n, size_t num_bins,
                          Rng& rng) {
  std::vector<std::vector<size_t>> bins(num_bins);
  for (size_t q = 0; q < difficulty.size(); ++q) {
    const auto bin = static_cast<size_t>(difficulty[q] * static_cast<double>(num_bins) + 1e-9);
    bins[std::min(bin, num_bins - 1)].push_back(q);
  }
  std::vector<size_t> sizes;
  for (const auto& bin : bins) sizes.push_back(bin.size());
  const std::vector<size_t> counts = allocate_to_bins(sizes, n);
  DrawnQueries drawn;
  double sum = 0;
  for (size_t b = 0; b < bins.size(); ++b) {
    rng.shuffle(bins[b]);
    for (size_t i = 0; i < counts[b]; ++i) {
      drawn.places.push_back(bins[b][i]);
      drawn.weights.push_back(static_cast<double>(sizes[b]) / static_cast<double>(counts[b]));
      sum += drawn.weights.back();
    }
  }
  for (double& weight : drawn.weights) weight /= sum;
  return drawn;
}

/// What one draw says of the later workflows.
struct Draw {
  double pearson = 0, mae = 0, raw_mae = 0;
};

Draw draw_once(const RunScores& scores, const FewShotOptions& options, size_t num_drawn, Rng rng) {
  const auto warm_up = static_cast<size_t>(options.warm_up);
  const std::vector<double> difficulty = difficulties(scores, warm_up, rng);
  const auto drawn = draw_queries(difficulty, num_drawn, static_cast<size_t>(options.bins), rng);
  const double shift = mean_of(difficulty) - weighted(difficulty, drawn);
  std::vector<double> estimates, full;
  Draw draw;
  for (size_t w = warm_up; w < scores.num_workflows(); ++w) {
    const size_t run = rng.below(scores.num_runs());
    const std::vector<double> scored = run_of(scores, w, run);
    estimates.push_back(std::clamp(weighted(scored, drawn) + shift, 0.0, 1.0));
    full.push_back(full_evaluation(scores, w, run));
    draw.mae += std::abs(estimates.back() - full.back());
    draw.raw_mae += std::abs(unweighted(scored, drawn) - full.back());
  }
  draw.mae /= static_cast<double>(full.size());
  draw.raw_mae /= static_cast<double>(full.size());
  draw.pearson = pearson(estimates, full);
  return draw;
}

}  // namespace

void FewShotOptions::validate() const {
  if (!(fraction > 0 && fraction <= 1)) {
    throw InputError(fmt::format("fraction: expected above 0, at most 1, got {}", fraction));
  }
  require_at_least("warm_up", warm_up, 1);
  require_at_least("bins", bins, 1);
  require_room("bins", bins, sizeof(std::vector<size_t>));
  require_at_least("seeds", seeds, 2);
  require_room("seeds", seeds, 3 * sizeof(double));
}

std::vector<size_t> allocate_to_bins(const std::vector<size_t>& sizes, size_t n) {
  const size_t total = std::accumulate(sizes.begin(), sizes.end(), size_t{0});
  WEFT_ASSERT(n <= total);
  const auto filled = std::count_if(sizes.begin(), sizes.end(), [](size_t s) { return s > 0; });
  const size_t least = n >= static_cast<size_t>(filled) ? 1 : 0;
  std::vector<size_t> counts;
  std::vector<double> quotas;
  size_t sum = 0;
  for (const size_t size : sizes) {
    quotas.push_back(static_cast<double>(n * size) /
                     static_cast<double>(std::max<size_t>(total, 1)));
    counts.push_back(std::min(size, std::max(least, static_cast<size_t>(quotas.back() + 1e-9))));
    sum += counts.back();
  }
  const auto excess = [&](size_t b) { return static_cast<double>(counts[b]) - quotas[b]; };
  for (; sum != n; sum = sum > n ? sum - 1 : sum + 1) {
    size_t chosen = sizes.size();
    for (size_t b = 0; b < sizes.size(); ++b) {
      const bool movable = sum > n ? counts[b] > least : counts[b] < sizes[b];
      if (!movable) continue;
      const bool better = chosen == sizes.size() ||
                          (sum > n ? excess(b) > excess(chosen) : excess(b) < excess(chosen));
      if (better) chosen = b;
    }
    WEFT_ASSERT(chosen < sizes.size());
    counts[chosen] += sum > n ? size_t(-1) : size_t{1};
  }
  return counts;
}

double pearson(const std::vector<double>& x, const std::vector<double>& y) {
  const double mean_x = mean_of(x), mean_y = mean_of(y);
  double xx = 0, yy = 0, xy = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    xx += (x[i] - mean_x) * (x[i] - mean_x);
    yy += (y[i] - mean_y) * (y[i] - mean_y);
    xy += (x[i] - mean_x) * (y[i] - mean_y);
  }
  constexpr double kRounding = 1e-20;
  return xx > kRounding && yy > kRounding ? xy / std::sqrt(xx * yy) : kNaN;
}

FewShotQuality evaluate_few_shot(const RunScores& scores, const FewShotOptions& options) {
  const auto warm_up = static_cast<size_t>(options.warm_up);
  WEFT_ASSERT(scores.num_workflows() >= warm_up + 3);
  const auto num_queries = static_cast<double>(scores.num_queries());
  FewShotQuality quality;
  quality.num_queries =
      static_cast<size_t>(std::max(1.0, std::round(options.fraction * num_queries)));
  quality.num_workflows = scores.num_workflows() - warm_up;
  const double executed = static_cast<double>(quality.num_queries) / num_queries;
  quality.saved = 1 - executed;
  quality.saved_overall = quality.saved * static_cast<double>(quality.num_workflows) /
                          static_cast<double>(scores.num_workflows());
  std::vector<double> pearsons, errors, raw_errors;
  const Rng rng(options.seed, /*stream=*/0x73636c65);
  for (int seed = 0; seed < options.seeds; ++seed) {
    throw_if_stopped();
    const Draw draw =
        draw_once(scores, options, quality.num_queries, rng.split(static_cast<uint64_t>(seed)));
    pearsons.push_back(draw.pearson);
    errors.push_back(draw.mae);
    raw_errors.push_back(draw.raw_mae);
  }
  quality.pearson = spread_of(pearsons);
  quality.mae = spread_of(errors);
  quality.raw_mae = spread_of(raw_errors);
  return quality;
}

}  // namespace weft
