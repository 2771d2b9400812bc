/// Whether evaluated tasks stand in what a model was trained on: word n-grams of their prompts,
/// looked up in training texts. Neither answers nor tests nor official solutions are read.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/json.h"
#include "data/task.h"
#include "trainer/evaluate/methods.h"
#include "trainer/evaluate/statistics.h"
#include "trainer/evaluate/summary.h"

namespace weft {

/// Words of an n-gram. Source: GPT-3, arXiv:2005.14165, appendix C.
inline constexpr size_t kContaminationWords = 13;

/// A task of whose prompt something was found.
struct ContaminatedTask {
  std::string task;
  int64_t ngrams = 0;  ///< different ones found, in all files together
  double share = 0;    ///< of those that were looked for, in (0, 1]
  std::string source;  ///< the file with the row that holds most of them, the first of equals
  int64_t line = 0;    ///< that row's line, or its id in a trajectory store
};

/// Looks up the n-grams of each prompt in the texts of `files`, which are JSON lines, also gzipped
/// (every text of a row counts, whatever its field, so that examples in any form of train_sft and
/// rollouts.jsonl are read alike), or trajectory stores (prompt, reasoning and code of each row).
///
/// Words are lower case, without ASCII punctuation, divided by white space. A prompt of fewer than
/// kContaminationWords words is looked for as a whole. Deviation: an n-gram that several of the
/// prompts have is the form of their set and is not looked for, unless a prompt has no other.
///
/// In the order of the tasks. Throws InputError naming file and line for a row that cannot be read.
std::vector<ContaminatedTask> find_contamination(const std::vector<Task>& tasks,
                                                 const std::vector<std::string>& files);

/// [{"task", "ngrams", "share", "source", "line"}].
Json to_json(const std::vector<ContaminatedTask>& found);

/// Adds to each of a report's methods "uncontaminated": {"n", "score", "ci95", ..} over the tasks
/// that are not among `found`. `scores` as score_table gives them for `tasks`.
void add_uncontaminated_scores(Json& methods, const ScoreTable& scores,
                               const std::vector<std::string>& tasks, const Json& found,
                               const BootstrapOptions& bootstrap);

}  // namespace weft
