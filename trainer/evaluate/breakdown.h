/// A report's scores by category, and against cost.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/json.h"
#include "data/task.h"
#include "trainer/evaluate/methods.h"
#include "trainer/evaluate/statistics.h"
#include "trainer/evaluate/summary.h"

namespace weft {

/// Task id -> "family"; tasks without one are left out.
using TaskFamilies = std::map<std::string, std::string>;

/// The families that task files name. Throws InputError where one cannot be read.
TaskFamilies load_families(const std::vector<std::string>& files);

/// [{"by": "dataset" | "kind" | "family", "name", "tasks", "methods": {method: {"n", "score",
/// "ci95",
/// ..}}}], each "by" only where the tasks differ in it. `scores` as score_table gives them for
/// `tasks`.
Json summarise_categories(const std::vector<Task>& tasks, const TaskFamilies& families,
                          const std::vector<Method>& methods, const ScoreTable& scores,
                          const BootstrapOptions& bootstrap);

/// The Pareto front of score against cost: {"cost": "usd_mean" | "tokens_mean", "methods": [names,
/// the cheapest first]}. Cost is money where any method has some. A method is on the front when
/// none that costs as much or less scores more, nor one that costs less scores as much; of equals
/// all are. Methods without score or cost are left out.
Json cost_front(const Json& methods);

}  // namespace weft
