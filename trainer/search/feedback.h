/// What a run of a workflow showed, in words: the text from which a generator improves it.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "data/task.h"
#include "sandbox/judge/judge.h"
#include "trainer/search/candidate.h"

namespace weft {

/// `evaluation` is that of `candidate` on `tasks`.
using FeedbackText =
    std::function<std::string(const std::vector<const Task*>& tasks, const Candidate& candidate,
                              const Evaluation& evaluation)>;

/// The FeedbackText of real runs: the share of val tests passed, the first error, and for the three
/// tasks of the least reward what failed and how of the public tests, or the answer where there are
/// none. Never a val or a hidden test, never a gold answer. Any thread.
class ExecutionFeedback {
 public:
  explicit ExecutionFeedback(Judge& judge) : judge_(judge) {}
  std::string text(const std::vector<const Task*>& tasks, const Candidate& candidate,
                   const Evaluation& evaluation);

 private:
  std::string of_task(const Task& task, const std::string& answer, bool named);

  Judge& judge_;
};

/// Of an edit that a prompt asked to be one: whether it is, by ASTs. One place of at most
/// kMaxEditStatements statements, about what one step of a workflow holds.
inline constexpr int64_t kMaxEditStatements = 4;
inline bool is_one_edit(const EditExtent& extent) {
  return extent.places == 1 && extent.statements <= kMaxEditStatements;
}

}  // namespace weft
