/// A teacher without a model: a grammar that writes workflows of many kinds with parameters and
/// role prompts, and a reasoning that refers to the query. The code holds none of the query's
/// words: it reads them from its arguments. It stands in for a teacher API where none is at hand;
/// what it writes is stored with origin "scripted" and is never called a model's work.
#pragma once

#include <string>
#include <vector>

#include "base/rng.h"
#include "data/task.h"

namespace weft {

struct Draft {
  std::string kind;                ///< one of ScriptedTeacher::kinds, or PARENT+EDIT after refine
  std::string reasoning;           ///< one to three sentences
  std::string code;                ///< passes MetaAgent::check
  std::vector<std::string> steps;  ///< split_steps(code)
};

/// Every method is a pure function of its arguments and of the draws it takes from the Rng.
/// Prefixes are in the form of split_steps: element 0 holds the class header and step 1; the empty
/// vector is the empty prefix. Stateless; any thread.
class ScriptedTeacher {
 public:
  /// Origin to store with what it writes.
  static constexpr const char* kOrigin = "scripted";

  /// A whole workflow of a kind drawn uniformly from kinds(task.kind).
  Draft draft(const Task& task, Rng& rng) const;

  /// A whole workflow of this kind. Throws InputError if the task's kind has no such workflow.
  Draft draft(const Task& task, const std::string& kind, Rng& rng) const;

  /// One further step (s_t given s_{1:t-1}), drawn over the kinds that begin like the prefix; a
  /// prefix like no kind is continued by what its variables allow. Empty if the prefix ends with
  /// the teacher's own return line; whether any other is whole is for MetaAgent::is_whole to say,
  /// and only one that is not may be given.
  std::string next_step(const Task& task, const std::vector<std::string>& prefix, Rng& rng) const;

  /// The prefix completed to a whole workflow: next_step until it is whole.
  Draft complete(const Task& task, const std::vector<std::string>& prefix, Rng& rng) const;

  /// A whole workflow's steps, with kind and reasoning.
  Draft finished(const Task& task, std::vector<std::string> steps, Rng& rng) const;

  /// The parent with exactly one consequential edit: other number of responses, other temperature,
  /// other role, other instruction, a step added, a step removed. `Draft::kind` says which.
  Draft refine(const Task& task, const Draft& parent, Rng& rng) const;

  /// Names of the kinds for code tasks (at least 12) or for those of the others.
  static std::vector<std::string> kinds(TaskKind kind = TaskKind::kCode);
};

}  // namespace weft
