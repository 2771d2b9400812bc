#include "trainer/evaluate/workflow_runs/query_router.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/check.h"
#include "base/error.h"
#include "base/rng.h"
#include "base/stop.h"
#include "base/word_vectors.h"
#include "trainer/evaluate/workflow_runs/headroom.h"
#include "trainer/evaluate/workflow_runs/symmetric_inverse.h"

namespace weft {

namespace {

using Rows = std::vector<std::vector<double>>;

/// A held-out part of the queries with what does not depend on scores.
struct Fold {
  std::vector<size_t> train, test;
  Rows test_kernel;                    ///< [test][train]
  std::vector<SquareMatrix> inverses;  ///< of K + lambda I, by penalty
};

/// One split of the runs, ready for learning.
struct SplitScores {
  Rows choosing, scoring;  ///< [workflow][query]
  size_t fixed = 0;
  std::vector<size_t> candidates;  ///< no dearer than the fixed one, which is among them
};

struct Policy {
  size_t penalty = 0;
  bool routes = false;
};

/// The place of the highest value where that is above 0; else none, which is the fixed workflow.
size_t argmax_gain(const std::vector<double>& gains) {
  const auto best = std::max_element(gains.begin(), gains.end());
  constexpr double kRounding = 1e-9;
  return *best > kRounding ? static_cast<size_t>(best - gains.begin()) : gains.size();
}

/// [train][candidate].
Rows training_gains(const SplitScores& split, const std::vector<size_t>& train) {
  Rows gains;
  for (const size_t q : train) {
    auto& row = gains.emplace_back();
    for (const size_t w : split.candidates) {
      row.push_back(split.choosing[w][q] - split.choosing[split.fixed][q]);
    }
  }
  return gains;
}

/// A Y.
Rows coefficients(const SquareMatrix& inverse, const Rows& gains) {
  Rows product(gains.size(), std::vector<double>(gains.front().size()));
  for (size_t i = 0; i < gains.size(); ++i) {
    for (size_t j = 0; j < gains.size(); ++j) {
      const double a = inverse.at(i, j);
      for (size_t c = 0; c < gains[j].size(); ++c) product[i][c] += a * gains[j][c];
    }
  }
  return product;
}

/// What choosing by leave-one-out predictions would have gained on each training query.
std::vector<double> left_out_gains(const SquareMatrix& inverse, const Rows& alpha,
                                   const Rows& gains) {
  std::vector<double> realised;
  for (size_t i = 0; i < gains.size(); ++i) {
    std::vector<double> predicted = gains[i];
    for (size_t c = 0; c < predicted.size(); ++c) predicted[c] -= alpha[i][c] / inverse.at(i, i);
    const size_t chosen = argmax_gain(predicted);
    realised.push_back(chosen < gains[i].size() ? gains[i][chosen] : 0);
  }
  return realised;
}

/// Mean over its standard error; 0 where nothing varies.
double z_of(const std::vector<double>& values, double mean) {
  double squares = 0;
  for (const double value : values) squares += (value - mean) * (value - mean);
  const auto n = static_cast<double>(values.size());
  return squares > 0 ? mean / std::sqrt(squares / (n - 1) / n) : 0;
}

Policy choose_policy(const Fold& fold, const Rows& gains, double least_z) {
  Policy policy;
  double highest = 0;
  for (size_t p = 0; p < fold.inverses.size(); ++p) {
    const Rows alpha = coefficients(fold.inverses[p], gains);
    const std::vector<double> realised = left_out_gains(fold.inverses[p], alpha, gains);
    const double mean = std::accumulate(realised.begin(), realised.end(), 0.0) /
                        static_cast<double>(realised.size());
    if (mean <= highest) continue;
    highest = mean;
    policy = {p, z_of(realised, mean) >= least_z};
  }
  return policy;
}

/// The workflow of each test query.
std::vector<size_t> route_fold(const Fold& fold, const SplitScores& split, double least_z) {
  std::vector<size_t> chosen(fold.test.size(), split.fixed);
  const Rows gains = training_gains(split, fold.train);
  const Policy policy = choose_policy(fold, gains, least_z);
  if (!policy.routes) return chosen;
  const Rows alpha = coefficients(fold.inverses[policy.penalty], gains);
  for (size_t t = 0; t < fold.test.size(); ++t) {
    std::vector<double> predicted(split.candidates.size());
    for (size_t i = 0; i < fold.train.size(); ++i) {
      for (size_t c = 0; c < predicted.size(); ++c) {
        predicted[c] += fold.test_kernel[t][i] * alpha[i][c];
      }
    }
    const size_t best = argmax_gain(predicted);
    if (best < predicted.size()) chosen[t] = split.candidates[best];
  }
  return chosen;
}

Fold make_fold(std::vector<size_t> train, std::vector<size_t> test,
               const std::vector<std::string>& texts, const std::vector<double>& penalties) {
  Fold fold{std::move(train), std::move(test), {}, {}};
  std::vector<std::string> training_texts;
  for (const size_t q : fold.train) training_texts.push_back(texts[q]);
  const WordVectors words(training_texts);
  std::vector<WordVector> vectors;
  for (const auto& text : training_texts) vectors.push_back(words.embed(text));
  SquareMatrix kernel(fold.train.size());
  for (size_t i = 0; i < vectors.size(); ++i) {
    for (size_t j = 0; j <= i; ++j) {
      kernel.at(i, j) = kernel.at(j, i) = 1 + cosine(vectors[i], vectors[j]);
    }
  }
  for (const double penalty : penalties) {
    throw_if_stopped();
    SquareMatrix regularised = kernel;
    for (size_t i = 0; i < vectors.size(); ++i) regularised.at(i, i) += penalty;
    fold.inverses.push_back(invert_positive_definite(std::move(regularised)));
  }
  for (const size_t q : fold.test) {
    const WordVector vector = words.embed(texts[q]);
    auto& row = fold.test_kernel.emplace_back();
    for (const auto& other : vectors) row.push_back(1 + cosine(vector, other));
  }
  return fold;
}

SplitScores make_split(const RunScores& scores, const RunSplit& runs,
                       const std::vector<double>& usd) {
  SplitScores split{scores.query_means(runs.choose), scores.query_means(runs.score), 0, {}};
  std::vector<size_t> all(scores.num_workflows());
  std::iota(all.begin(), all.end(), size_t{0});
  split.fixed = best_workflow(workflow_means(split.choosing), all, usd);
  const bool known = std::none_of(usd.begin(), usd.end(), [](double d) { return std::isnan(d); });
  for (const size_t w : all) {
    if (!known || usd[w] <= usd[split.fixed]) split.candidates.push_back(w);
  }
  return split;
}

size_t best_on_training(const SplitScores& split, const std::vector<size_t>& train,
                        const std::vector<double>& usd) {
  std::vector<double> means(split.choosing.size());
  std::vector<size_t> all(means.size());
  std::iota(all.begin(), all.end(), size_t{0});
  for (const size_t w : all) {
    for (const size_t q : train) means[w] += split.choosing[w][q];
    means[w] /= static_cast<double>(train.size());
  }
  return best_workflow(means, all, usd);
}

}  // namespace

void QueryRouterOptions::validate() const {
  require_at_least("folds", folds, 2);
  require_at_least("repeats", repeats, 1);
  if (penalties.empty()) throw InputError("penalties: expected at least one, got none");
  for (const double penalty : penalties) require_above("penalties", penalty, 0);
  require_at_least("least_z", least_z, 0);
}

QueryRouting route_queries(const RunScores& scores, const std::vector<std::string>& texts,
                           const std::vector<double>& usd, const QueryRouterOptions& options) {
  const size_t num_queries = scores.num_queries();
  const auto num_folds = static_cast<size_t>(options.folds);
  WEFT_ASSERT(scores.num_workflows() >= 2 && num_queries >= num_folds &&
              num_queries <= kMostRoutedQueries && texts.size() == num_queries);
  std::vector<SplitScores> splits;
  for (const RunSplit& runs : run_splits(scores.num_runs())) {
    splits.push_back(make_split(scores, runs, usd));
  }
  WEFT_ASSERT(!splits.empty());
  QueryRouting routing{std::vector<double>(num_queries), std::vector<double>(num_queries)};
  double dollars = 0, fixed_dollars = 0;
  size_t num_fixed = 0;
  std::vector<size_t> order(num_queries);
  std::iota(order.begin(), order.end(), size_t{0});
  for (int repeat = 0; repeat < options.repeats; ++repeat) {
    Rng(options.seed, 0x726f7574 + static_cast<uint64_t>(repeat)).shuffle(order);
    for (size_t part = 0; part < num_folds; ++part) {
      std::vector<size_t> train, test;
      for (size_t i = 0; i < num_queries; ++i) {
        (i % num_folds == part ? test : train).push_back(order[i]);
      }
      const Fold fold = make_fold(std::move(train), std::move(test), texts, options.penalties);
      for (const SplitScores& split : splits) {
        const auto chosen = route_fold(fold, split, options.least_z);
        const size_t unseen = best_on_training(split, fold.train, usd);
        for (size_t t = 0; t < chosen.size(); ++t) {
          const size_t q = fold.test[t];
          routing.score[q] += split.scoring[chosen[t]][q];
          routing.fixed_unseen[q] += split.scoring[unseen][q];
          num_fixed += chosen[t] == split.fixed;
          dollars += usd[chosen[t]];
          fixed_dollars += usd[split.fixed];
        }
      }
    }
  }
  const auto per_query = static_cast<double>(splits.size() * static_cast<size_t>(options.repeats));
  for (double& sum : routing.score) sum /= per_query;
  for (double& sum : routing.fixed_unseen) sum /= per_query;
  routing.abstained =
      static_cast<double>(num_fixed) / (per_query * static_cast<double>(num_queries));
  routing.cost_ratio =
      fixed_dollars > 0 ? dollars / fixed_dollars : std::numeric_limits<double>::quiet_NaN();
  return routing;
}

}  // namespace weft
