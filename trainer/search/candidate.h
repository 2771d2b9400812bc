/// A workflow on its way through a search: as written, as scored, as stored.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "data/reward_terms.h"
#include "data/trajectory_store.h"
#include "model/text_model.h"
#include "sandbox/facts/static_facts.h"

namespace weft {

/// A prefix s_{1:t} as split_steps gives it: element 0 holds the class header and step 1.
using StepPrefix = std::vector<std::string>;

/// What a generator wrote.
struct Candidate {
  enum class Status {
    kWritten,    ///< reasoning and code are there; whether the code is valid is not yet known
    kMalformed,  ///< the reply does not have the form asked for; scores as an invalid workflow
    kFailed,     ///< the generator itself failed (server, quota): not a workflow at all
  };
  Status status = Status::kWritten;
  std::string kind;
  std::string reasoning;
  std::string code;
  std::string problem;         ///< why it is kMalformed or kFailed, one line
  bool out_of_budget = false;  ///< kFailed because the generator's own budget is spent
  int64_t parent = 0;          ///< row of the workflow it was made from; 0: none
  std::string edited_from;     ///< code that it is meant to be one edit of; empty: written anew
  TextUsage usage;             ///< of the generator, tries that were thrown away included
  int calls = 0;               ///< likewise

  /// Adds what further requests for it used.
  void charge(const TextUsage& more, int more_calls) {
    usage.prompt_tokens += more.prompt_tokens;
    usage.completion_tokens += more.completion_tokens;
    usage.usd += more.usd;
    calls += more_calls;
  }
};

/// What running it gave, over the tasks of its search.
struct Evaluation {
  bool valid = false;  ///< passed the static check
  int num_steps = 0;
  std::string outcome;               ///< scored, workflow_error, limit, infrastructure
  std::string error;                 ///< first error text; empty when every run was scored
  RewardTerms reward;                ///< means over tasks and repeats that were scored
  double reward_deviation = 0;       ///< population standard deviation over the repeats' means
  std::vector<std::string> answers;  ///< [tasks] of the first repeat; not stored
  std::string feedback;  ///< what its runs showed, as a generator is told it; may be empty
  std::optional<EditExtent> edit;    ///< from Candidate::edited_from, where both parse
  bool names_query = false;          ///< workflow/names_query.h, of any of the tasks
  int num_infra = 0;                 ///< runs that could not be scored
  bool out_of_budget = false;        ///< a run was cut short by the search's budget: no reward
  std::vector<double> task_rewards;  ///< [tasks] mean over repeats; NaN: none; not stored
  Json usage = Json::object();  ///< calls, execs, tokens, usd of the worker; per_task where several

  /// False when every run failed for reasons that are not the workflow's: then it has no reward.
  bool rewarded() const { return outcome != "infrastructure"; }
  /// Did not pass the check, or raised on every task: what a self-correction may mend.
  bool failed() const { return !valid || outcome == "workflow_error"; }
};

/// A workflow of the pool.
struct Sampled {
  Candidate candidate;
  Evaluation evaluation;
  int64_t row = 0;               ///< in the trajectory store
  int64_t place = 0;             ///< among those of its round, in the order they were asked for
  bool skipped = false;          ///< not run and not stored: the budget was spent
  std::optional<double> reward;  ///< what the search maximises; none when it could not be measured
};

}  // namespace weft
