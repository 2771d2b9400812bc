#include "trainer/evaluate/workflow_runs/runs_analysis.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "base/stop.h"
#include "trainer/evaluate/workflow_runs/coverage.h"
#include "trainer/evaluate/workflow_runs/headroom.h"
#include "trainer/evaluate/workflow_runs/variance_components.h"

namespace weft {

namespace {

constexpr double kFractions[] = {0.01, 0.03, 0.05, 0.1, 0.2, 0.3, 0.5};

Json limits(const Estimate& estimate) {
  return Json::array({number_or_null(estimate.ci.low), number_or_null(estimate.ci.high)});
}

/// KEY and KEY_ci95, KEY_ci_method, KEY_ci_note.
void add(Json& json, const std::string& key, const Estimate& estimate) {
  json[key] = number_or_null(estimate.mean);
  json[key + "_ci95"] = limits(estimate);
  json[key + "_ci_method"] = estimate.method;
  if (!estimate.note.empty()) json[key + "_ci_note"] = estimate.note;
}

/// The mean over queries with its interval.
Estimate over_queries(const std::vector<double>& values, const AnalysisOptions& options) {
  return estimate_mean(one_each(values), options.bootstrap);
}

Estimate difference(const std::vector<double>& a, const std::vector<double>& b,
                    const AnalysisOptions& options) {
  return percentile_difference(one_each(a), one_each(b), options.bootstrap);
}

/// The same with what it reads as.
void add_difference(Json& json, const std::string& key, const Estimate& estimate) {
  add(json, key, estimate);
  json[key + "_reading"] = reading_of(estimate.ci);
}

double mean_of(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

void set_missing(Json& json, std::initializer_list<const char*> keys, const std::string& reason) {
  for (const char* key : keys) {
    json[key] = nullptr;
    json["missing"][key] = reason;
  }
}

/// Why what compares workflows over runs cannot be estimated; empty where it can.
std::string why_no_choice(const RunScores& scores) {
  if (scores.num_runs() < 2) return "needs two runs of each workflow, got one";
  if (scores.num_workflows() < 2) return "needs two workflows, got one";
  return "";
}

/// The highest means over all runs, which have seen what they are scored on.
void add_naive(Json& json, const WorkflowRuns& set) {
  const auto means = set.scores.query_means();
  std::vector<size_t> all(means.size());
  std::iota(all.begin(), all.end(), size_t{0});
  const std::vector<double> overall = workflow_means(means);
  const size_t best = best_workflow(overall, all, set.usd_per_query);
  double by_query = 0;
  for (size_t q = 0; q < set.scores.num_queries(); ++q) {
    double highest = 0;
    for (const auto& row : means) highest = std::max(highest, row[q]);
    by_query += highest / static_cast<double>(set.scores.num_queries());
  }
  json["best_fixed_workflow"] = set.workflows[best];
  json["naive_best_fixed"] = overall[best];
  json["naive_by_query"] = by_query;
}

void add_headroom(Json& json, const Headroom& headroom, const AnalysisOptions& options) {
  add(json, "best_fixed", over_queries(headroom.fixed, options));
  add(json, "by_query", over_queries(headroom.by_query, options));
  add_difference(json, "gap", difference(headroom.by_query, headroom.fixed, options));
}

void add_variances(Json& json, const RunScores& scores, const AnalysisOptions& options) {
  const VarianceComponents found = estimate_variance_components(scores, options.bootstrap);
  add(json, "interaction", found.interaction);
  add(json, "noise", found.noise);
  json["interaction_over_noise"] =
      found.noise.mean > 0 ? Json(found.interaction.mean / found.noise.mean) : Json();
}

Json coverage_json(const Coverage& coverage, size_t num_runs, const AnalysisOptions& options) {
  Json json;
  add(json, "top1", over_queries(coverage.top.front(), options));
  add(json, "top5", over_queries(coverage.top.back(), options));
  if (num_runs < 2) {
    set_missing(json, {"top1_repeated", "top5_minus_repeated"},
                "needs two runs of each workflow, got one");
  } else {
    add(json, "top1_repeated", over_queries(coverage.repeated.back(), options));
    const size_t k = std::min(coverage.top.size(), coverage.repeated.size());
    add_difference(json, "top5_minus_repeated",
                   difference(coverage.top[k - 1], coverage.repeated[k - 1], options));
    json["top5_minus_repeated_executions"] = k;
  }
  add(json, "all_once", over_queries(coverage.all, options));
  json["top5_workflows"] = coverage.top.size();
  json["top1_repeats"] = coverage.repeated.size();
  for (const auto& values : coverage.top) json["curve"]["top"].push_back(mean_of(values));
  for (const auto& values : coverage.repeated) json["curve"]["repeated"].push_back(mean_of(values));
  return json;
}

void add_coverage(Json& json, const WorkflowRuns& set, const AnalysisOptions& options) {
  const auto estimate = [&](Ranking ranking) {
    const Coverage coverage = estimate_coverage(set.scores, set.usd_per_query, ranking);
    return coverage_json(coverage, set.scores.num_runs(), options);
  };
  json["coverage"] = estimate(Ranking::kAllQueries);
  json["coverage"]["ranked_on_other_queries"] = estimate(Ranking::kOtherQueries);
}

Json few_shot_json(const FewShotQuality& quality, double fraction) {
  return {{"fraction", fraction},
          {"executed_queries", quality.num_queries},
          {"executions_saved", quality.saved},
          {"executions_saved_with_warm_up", quality.saved_overall},
          {"pearson", number_or_null(quality.pearson.mean)},
          {"pearson_sd", number_or_null(quality.pearson.sd)},
          {"pearson_draws", quality.pearson.n},
          {"mae", number_or_null(quality.mae.mean)},
          {"mae_sd", number_or_null(quality.mae.sd)},
          {"mae_uncalibrated", number_or_null(quality.raw_mae.mean)},
          {"mae_uncalibrated_sd", number_or_null(quality.raw_mae.sd)}};
}

void add_surrogate(Json& json, const RunScores& scores, const AnalysisOptions& options) {
  const size_t needed = static_cast<size_t>(options.few_shot.warm_up) + 3;
  if (scores.num_workflows() < needed) {
    set_missing(json, {"surrogate"},
                fmt::format("needs {} workflows, {} for the warm-up and three to estimate, got {}",
                            needed, options.few_shot.warm_up, scores.num_workflows()));
    return;
  }
  const auto quality_at = [&](double fraction) {
    FewShotOptions few_shot = options.few_shot;
    few_shot.fraction = fraction;
    return few_shot_json(evaluate_few_shot(scores, few_shot), fraction);
  };
  Json& surrogate = json["surrogate"] = quality_at(options.few_shot.fraction);
  surrogate["draws"] = options.few_shot.seeds;
  surrogate["warm_up_workflows"] = options.few_shot.warm_up;
  surrogate["estimated_workflows"] =
      scores.num_workflows() - static_cast<size_t>(options.few_shot.warm_up);
  surrogate["self_prediction"] = nullptr;
  surrogate["missing"]["self_prediction"] =
      "needs an optimizer model that reads the workflow's code; this program runs none";
  for (const double fraction : kFractions) {
    const Json quality = quality_at(fraction);
    Json& all = surrogate["by_fraction"];
    const bool is_new =
        all.is_null() || all.back()["executed_queries"] != quality["executed_queries"];
    if (is_new) all.push_back(quality);
  }
}

/// Why there is no router; empty where there is one.
std::string why_no_router(const RunScores& scores, const AnalysisOptions& options) {
  std::string why = why_no_choice(scores);
  if (!why.empty()) return why;
  const auto folds = static_cast<size_t>(options.router.folds);
  if (scores.num_queries() < folds) {
    return fmt::format("needs as many queries as folds, {}, got {}", folds, scores.num_queries());
  }
  if (scores.num_queries() > kMostRoutedQueries) {
    return fmt::format("takes at most {} queries, got {}", kMostRoutedQueries,
                       scores.num_queries());
  }
  return "";
}

void add_router(Json& json, const WorkflowRuns& set, const Headroom& headroom,
                const AnalysisOptions& options) {
  const QueryRouting routing =
      route_queries(set.scores, set.texts, set.usd_per_query, options.router);
  Json& router = json["router"] = Json::object();
  const Estimate score = over_queries(routing.score, options);
  router["score"] = score.mean;
  router["ci95"] = limits(score);
  router["ci_method"] = score.method;
  router["cost_ratio"] = number_or_null(routing.cost_ratio);
  if (router["cost_ratio"].is_null()) {
    router["missing"]["cost_ratio"] = "not every run has dollars, or they are 0";
  }
  router["cost_proxy"] =
      "dollars of a workflow's runs over their queries, the same for every query of a workflow";
  add_difference(router, "gain", difference(routing.score, headroom.fixed, options));
  add_difference(router, "regret", difference(headroom.by_query, routing.score, options));
  router["abstained"] = routing.abstained;
  add(router, "best_fixed_on_other_queries", over_queries(routing.fixed_unseen, options));
}

}  // namespace

Json paper_figures() {
  return {{"source", "SCALE, arXiv:2601.11147"},
          {"coverage_top5", {0.9387, 1.0}},
          {"pearson", 0.52},
          {"mae", 0.16},
          {"mae_few_shot", 0.22},
          {"tokens_saved", {0.54, 0.83}},
          {"fraction", {0.01, 0.03}}};
}

Json surrogate_means(const Json& sets) {
  double pearson = 0, mae = 0;
  int64_t num = 0;
  for (const Json& set : sets) {
    const Json& surrogate = set["surrogate"];
    if (surrogate.is_null() || surrogate["pearson"].is_null()) continue;
    pearson += surrogate["pearson"].get<double>();
    mae += surrogate["mae"].get<double>();
    ++num;
  }
  const auto n = static_cast<double>(num);
  return {
      {"sets", num}, {"pearson", number_or_null(pearson / n)}, {"mae", number_or_null(mae / n)}};
}

Json analyse_set(const WorkflowRuns& set, const AnalysisOptions& options) {
  throw_if_stopped();
  const RunScores& scores = set.scores;
  Json json = {{"dataset", set.dataset},
               {"file", set.file},
               {"source", set.source},
               {"workflows", scores.num_workflows()},
               {"queries", scores.num_queries()},
               {"runs", scores.num_runs()},
               {"left_out", {{"workflows", set.left_out}, {"runs", set.runs_left_out}}},
               {"missing", Json::object()}};
  add_naive(json, set);
  const std::string no_choice = why_no_choice(scores);
  const std::string no_variances =
      no_choice.empty() && scores.num_queries() < 2 ? "needs two queries, got one" : no_choice;
  const std::string no_router = why_no_router(scores, options);
  Headroom headroom;
  if (no_choice.empty()) {
    headroom = estimate_headroom(scores, set.usd_per_query);
    add_headroom(json, headroom, options);
  } else {
    set_missing(json, {"best_fixed", "by_query", "gap", "gap_ci95"}, no_choice);
  }
  if (no_variances.empty()) {
    add_variances(json, scores, options);
  } else {
    set_missing(json, {"interaction", "noise"}, no_variances);
  }
  add_coverage(json, set, options);
  add_surrogate(json, scores, options);
  if (no_router.empty()) {
    add_router(json, set, headroom, options);
  } else {
    set_missing(json, {"router"}, no_router);
  }
  return json;
}

}  // namespace weft
