/// Scores of workflows by query and run, as other people's searches leave them, and the reader of
/// their files (docs/formats.md).
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "base/known_fields.h"

namespace weft {

/// Every workflow ran on every query equally often; scores lie in [0, 1].
class RunScores {
 public:
  RunScores() = default;
  /// All scores 0.
  RunScores(size_t num_workflows, size_t num_runs, size_t num_queries)
      : workflows_(num_workflows),
        runs_(num_runs),
        queries_(num_queries),
        scores_(num_workflows * num_runs * num_queries) {}

  size_t num_workflows() const { return workflows_; }
  size_t num_runs() const { return runs_; }
  size_t num_queries() const { return queries_; }

  double& at(size_t workflow, size_t run, size_t query) {
    return scores_[(workflow * runs_ + run) * queries_ + query];
  }
  double at(size_t workflow, size_t run, size_t query) const {
    return scores_[(workflow * runs_ + run) * queries_ + query];
  }

  /// [workflow][query], means over these runs.
  std::vector<std::vector<double>> query_means(std::span<const size_t> runs) const;
  /// Over all runs.
  std::vector<std::vector<double>> query_means() const;

 private:
  size_t workflows_ = 0, runs_ = 0, queries_ = 0;
  std::vector<double> scores_;
};

/// One data set's runs.
struct WorkflowRuns {
  std::string file, dataset, source;
  std::vector<std::string> workflows;  ///< names of those in `scores`, in the file's order
  std::vector<std::string> texts;      ///< of the queries
  RunScores scores;
  /// Dollars of a query, a proxy: the mean over a workflow's runs of their dollars, over the number
  /// of queries. Money is logged for a run as a whole. NaN where a run has none.
  std::vector<double> usd_per_query;
  std::vector<std::string> left_out;  ///< workflows with too few runs, in words
  int64_t runs_left_out = 0;          ///< runs beyond the number that all kept workflows have
};

/// Reads a file, gzipped or not; "-" is standard input. Balanced: where two workflows or more have
/// two runs or more, those with fewer are left out and the others keep their first runs, as many as
/// each of them has; else every workflow with a run keeps its first. Workflows, runs and queries
/// are named by numbers or texts. `further` counts fields that are not read.
///
/// Throws InputError naming file and place: no JSON, a field that is missing, misspelt or of
/// another type, a score that is no number in [0, 1], a run without a query's score or with that of
/// an unknown one, a workflow, query or run that is there twice, no workflow with a run, no query.
WorkflowRuns read_workflow_runs(const std::filesystem::path& path, FieldCounts& further);

}  // namespace weft
