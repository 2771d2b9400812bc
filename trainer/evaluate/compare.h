/// Two finished runs of `evaluate` side by side: methods of the same name, task by task.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/json.h"
#include "trainer/evaluate/statistics.h"

namespace weft {

/// What a run folder holds of a finished run.
struct EvaluatedRun {
  std::string dir;
  Json report;                   ///< report.json
  Json config;                   ///< config.json
  Json inputs = Json::object();  ///< of inputs.json; empty where a run of old has none
};

/// Throws InputError naming the folder or file where there is no finished run of `evaluate`.
EvaluatedRun read_evaluated_run(const std::filesystem::path& dir);

/// {"runs": [{"dir", "title", "date", "worker", "tasks"}], "differences": [{"what", "runs": [..]}],
/// "tasks": {"shared", "only_in": [n, n]}, "methods": [{"name", "scores": [x, x], ..}], "only_in":
/// [[names], [names]]}; pairs of values are of the first and the second run. A method has beside
/// its name the means over the tasks that both runs scored and what compare_scores gives, where a
/// is the second run and b the first. "differences" are config keys, inputs and specs of methods of
/// one name that change results: tasks, scoring rule, scorer, seed, worker and all others but
/// names, folders and pace; an input that one run lacks is null there. Throws InputError for a
/// score that is none, and Error when no method of one name has a task in common.
Json compare_runs(const EvaluatedRun& first, const EvaluatedRun& second,
                  const BootstrapOptions& bootstrap);

/// The same as Markdown.
std::string markdown_comparison(const Json& comparison);

/// Reads the two folders and, unless `out` is empty, writes the JSON to that file; returns the
/// Markdown. Throws InputError when there are not two, and as the functions above.
std::string run_comparison(const std::vector<std::string>& dirs, const std::string& out,
                           const BootstrapOptions& bootstrap);

}  // namespace weft
