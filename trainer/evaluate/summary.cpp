#include "trainer/evaluate/summary.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "base/reasons.h"
#include "trainer/evaluate/headlines.h"
#include "trainer/evaluate/paired.h"
#include "trainer/evaluate/samples.h"

namespace weft {

namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

/// Linear interpolation between order statistics (Hyndman and Fan's type 7); NaN of none.
double quantile(std::vector<int64_t> values, double p) {
  if (values.empty()) return kNaN;
  std::sort(values.begin(), values.end());
  const double position = p * static_cast<double>(values.size() - 1);
  const auto below = static_cast<size_t>(position);
  const size_t above = std::min(below + 1, values.size() - 1);
  const auto low = static_cast<double>(values[below]), high = static_cast<double>(values[above]);
  return low + (position - static_cast<double>(below)) * (high - low);
}

/// Sums over the rows of one method; infrastructure errors count nowhere else.
struct Totals {
  int64_t rows = 0, rows_with_rate = 0, valid = 0, workflow_errors = 0, limits = 0, invalid = 0,
          infra_errors = 0;
  double worker_tokens = 0, meta_tokens = 0, calls = 0, usd = 0, pass_rate = 0;
  std::vector<int64_t> wall_ms;                               ///< of each workflow that ran
  std::map<std::string, std::set<std::string>> fingerprints;  ///< per task with a valid workflow
  ReasonCounts reasons;                            ///< of every row that no answer was scored in
  std::map<std::string, ReasonCounts> reasons_of;  ///< the same by the row's status

  void add(const ResultRow& row) {
    if (row.status != OutcomeKind::kScored) {
      reasons.add(row.error);
      reasons_of[outcome_name(row.status)].add(row.error);
    }
    if (row.status == OutcomeKind::kInfrastructure) {
      ++infra_errors;
      return;
    }
    ++rows;
    workflow_errors += row.status == OutcomeKind::kWorkflowError;
    limits += row.status == OutcomeKind::kLimit;
    invalid += row.status == OutcomeKind::kInvalid;
    worker_tokens += static_cast<double>(row.worker_tokens);
    meta_tokens += static_cast<double>(row.meta_tokens);
    calls += row.calls;
    usd += row.usd;
    if (!std::isnan(row.pass_rate)) {
      pass_rate += row.pass_rate;
      ++rows_with_rate;
    }
    if (row.status == OutcomeKind::kInvalid) return;
    ++valid;
    wall_ms.push_back(row.wall_ms);
    fingerprints[row.task].insert(row.fingerprint);
  }

  double tokens() const { return worker_tokens + meta_tokens; }
  double mean(double sum) const { return rows ? sum / static_cast<double>(rows) : kNaN; }
  double pass_rate_mean() const {
    return rows_with_rate ? pass_rate / static_cast<double>(rows_with_rate) : kNaN;
  }

  double distinct_per_query() const {
    if (fingerprints.empty()) return kNaN;
    double sum = 0;
    for (const auto& [task, hashes] : fingerprints) sum += static_cast<double>(hashes.size());
    return sum / static_cast<double>(fingerprints.size());
  }

  int64_t distinct_overall() const {
    std::set<std::string> all;
    for (const auto& [task, hashes] : fingerprints) all.insert(hashes.begin(), hashes.end());
    return static_cast<int64_t>(all.size());
  }

  Json errors() const {
    Json json = Json::object();
    for (const auto& [status, name] : enum_table(OutcomeKind())) {
      const auto found = reasons_of.find(name);
      if (found != reasons_of.end()) json[found->first] = found->second.to_json();
    }
    return json;
  }
};

Json summarise(const Method& method, const Totals& totals, const Estimate& score) {
  Json json = {{"name", method.name}};
  add_estimate(json, "score", score);
  json.update({{"tokens_mean", number_or_null(totals.mean(totals.tokens()))},
               {"usd_mean", number_or_null(totals.mean(totals.usd))},
               {"valid", number_or_null(totals.mean(static_cast<double>(totals.valid)))},
               {"workflow_errors", totals.workflow_errors + totals.limits},
               {"infra_errors", totals.infra_errors},
               {"kind", to_string(method.kind)},
               {"class", method_class(method)},
               {"spec", method.spec},
               {"samples", totals.rows},
               {"pass_rate", number_or_null(totals.pass_rate_mean())},
               {"calls_mean", number_or_null(totals.mean(totals.calls))},
               {"worker_tokens_mean", number_or_null(totals.mean(totals.worker_tokens))},
               {"meta_tokens_mean", number_or_null(totals.mean(totals.meta_tokens))},
               {"latency_ms",
                {{"median", number_or_null(quantile(totals.wall_ms, 0.5))},
                 {"p95", number_or_null(quantile(totals.wall_ms, 0.95))}}},
               {"limits", totals.limits},
               {"invalid", totals.invalid},
               {"reasons", totals.reasons.to_json()},
               {"errors", totals.errors()}});
  if (method.kind == MethodKind::kSamples) {  // what they cost is not known
    for (const char* key : {"tokens_mean", "usd_mean", "calls_mean", "worker_tokens_mean",
                            "meta_tokens_mean", "latency_ms"}) {
      json[key] = nullptr;
    }
  }
  if (method.kind == MethodKind::kMeta || method.kind == MethodKind::kHybrid) {
    json["distinct_per_query"] = number_or_null(totals.distinct_per_query());
    json["distinct_overall"] = totals.distinct_overall();
  }
  return json;
}

}  // namespace

ScoreTable score_table(const std::vector<Method>& methods, const std::vector<std::string>& task_ids,
                       const std::vector<ResultRow>& rows) {
  std::map<std::pair<std::string, std::string>, std::pair<double, int>> sums;
  for (const ResultRow& row : rows) {
    if (row.status == OutcomeKind::kInfrastructure) continue;
    auto& [sum, count] = sums[{row.method, row.task}];
    sum += row.score;
    ++count;
  }
  ScoreTable table(methods.size(), std::vector<double>(task_ids.size(), kNaN));
  for (size_t method = 0; method < methods.size(); ++method) {
    for (size_t task = 0; task < task_ids.size(); ++task) {
      const auto found = sums.find({methods[method].name, task_ids[task]});
      if (found != sums.end()) table[method][task] = found->second.first / found->second.second;
    }
  }
  return table;
}

Json summarise_methods(const std::vector<Method>& methods, const ScoreTable& scores,
                       const std::vector<ResultRow>& rows, const BootstrapOptions& bootstrap) {
  std::map<std::string, Totals> totals;
  for (const ResultRow& row : rows) totals[row.method].add(row);
  Json list = Json::array();
  for (size_t i = 0; i < methods.size(); ++i) {
    list.push_back(summarise(methods[i], totals[methods[i].name],
                             estimate_mean(one_each(scores[i]), bootstrap)));
  }
  return list;
}

void add_pass_at_k(Json& methods, const std::vector<ResultRow>& rows,
                   const BootstrapOptions& bootstrap) {
  struct Counts {
    int64_t samples = 0, right = 0;
  };
  std::map<std::string, std::map<std::string, Counts>> by_method;
  for (const ResultRow& row : rows) {
    if (row.status == OutcomeKind::kInfrastructure) continue;
    Counts& counts = by_method[row.method][row.task];
    ++counts.samples;
    counts.right += row.score == 1;
  }
  for (Json& method : methods) {
    const auto& tasks = by_method[method["name"].get<std::string>()];
    if (tasks.empty()) continue;
    Json& estimates = method["pass_at_k"] = Json::object();
    for (const int64_t k : {1, 10, 100}) {
      std::vector<double> values;
      for (const auto& [task, counts] : tasks) {
        if (counts.samples >= k) values.push_back(pass_at_k(counts.samples, counts.right, k));
      }
      if (values.size() < tasks.size()) continue;
      Json& estimate = estimates[std::to_string(k)] = Json::object();
      add_estimate(estimate, "score", estimate_mean(one_each(values), bootstrap));
    }
  }
}

Json summarise_pairs(const std::vector<Method>& methods, const ScoreTable& scores,
                     const BootstrapOptions& bootstrap) {
  Json list = Json::array();
  for (size_t a = 1; a < methods.size(); ++a) {
    for (size_t b = 0; b < a; ++b) {
      Json pair = {{"a", methods[a].name}, {"b", methods[b].name}};
      pair.update(compare_scores(scores[a], scores[b], bootstrap));
      list.push_back(std::move(pair));
    }
  }
  return list;
}

}  // namespace weft
