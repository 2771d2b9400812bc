/// Files of samples: answers that were written elsewhere, to be scored like any method's.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "data/task.h"

namespace weft {

/// Task id -> answers, in the file's order.
using Samples = std::map<std::string, std::vector<std::string>>;

/// Reads JSON lines, also gzipped: {"task_id", "completion"} or {"task_id", "solution"}, several
/// rows a task. "solution" is a whole answer and wins where both are there. A completion is what
/// follows the prompt where `continues_prompt` says so of the task, as HumanEval's are, else what
/// follows the task's setup. Answers are taken as they are, without a search for code in them, and
/// are whole: no setup is to be run before them. Further columns are listed once in the log.
///
/// `tasks` are all of the task file. Throws InputError naming file and line for a row that cannot
/// be read, an id that is no task's, and for a file without rows.
Samples load_samples(const std::filesystem::path& path, const std::vector<Task>& tasks,
                     const std::function<bool(const Task&)>& continues_prompt);

/// Whether the prompt of a code task is itself code that begins the definition of the entry point.
/// `parses` tells whether a text is Python.
bool declares_entry_point(const Task& task, const std::function<bool(const std::string&)>& parses);

/// The unbiased estimate of the chance that one of k samples is right, from n of which c are:
///
///   pass@k = 1 - C(n - c, k) / C(n, k) = 1 - prod_{i = n - c + 1}^{n} (1 - k / i)
///
/// The product neither overflows nor cancels. 1 <= k <= n and 0 <= c <= n.
/// Source: arXiv:2107.03374, eq. 1 and figure 3.
double pass_at_k(int64_t n, int64_t c, int64_t k);

}  // namespace weft
