#include "trainer/search/scorer.h"

#include <cmath>
#include <memory>
#include <set>

#include "base/hash.h"
#include "base/stop.h"
#include "trainer/search/collector.h"
#include "workflow/names_query.h"

namespace weft {

namespace {

/// What the runs borrow: lives until the last of them has come back, also when nobody waits.
struct Batch {
  struct Entry {
    Workflow workflow;
    std::vector<Task> tasks;
    std::vector<std::vector<Outcome>> outcomes;
    size_t missing = 0;
  };
  struct Answer {
    size_t repeat = 0, task = 0;
    Outcome outcome;
  };
  std::vector<Entry> entries;
  Collector<Answer> answers;
};

Workflow workflow_of(const Candidate& candidate, const WorkflowEnvironment& environment) {
  if (candidate.status == Candidate::Status::kMalformed) {
    Workflow workflow;
    workflow.code = candidate.code;
    workflow.problem = candidate.problem;
    return workflow;
  }
  return environment.check(candidate.code);
}

void start_runs(WorkflowEnvironment& environment, const std::shared_ptr<Batch>& batch, size_t index,
                const WorkflowScoreRequest& request) {
  Batch::Entry& entry = batch->entries[index];
  for (size_t r = 0; r < entry.outcomes.size(); ++r) {
    for (size_t t = 0; t < entry.tasks.size(); ++t) {
      RunRequest run;
      run.workflow = &entry.workflow;
      run.task = &entry.tasks[t];
      run.seed = hash_combine(hash_combine(request.seed, r), hash64(entry.tasks[t].id));
      run.shared_budget = request.budget;
      environment.run(run, [batch, index, r, t](Outcome outcome) {
        batch->answers.put(index, {r, t, std::move(outcome)});
      });
    }
  }
}

struct Totals {
  std::set<OutcomeKind> kinds;  // of the runs that have a reward
  int counted = 0, infra = 0;
  bool out_of_budget = false;
  RewardTerms terms;
  WorkflowUsage usage;
};

void count(const Outcome& outcome, const RewardTerms& terms, Totals& totals) {
  totals.kinds.insert(outcome.kind);
  ++totals.counted;
  totals.terms += terms;
}

/// What several runs came to: whether any was scored, else met a limit, else what each met.
OutcomeKind kind_of(const std::set<OutcomeKind>& kinds) {
  for (const OutcomeKind kind : {OutcomeKind::kScored, OutcomeKind::kLimit}) {
    if (kinds.contains(kind)) return kind;
  }
  return *kinds.begin();
}

Evaluation evaluation_of(const Totals& totals) {
  Evaluation evaluation;
  evaluation.out_of_budget = totals.out_of_budget;
  const int counted = totals.out_of_budget ? 0 : totals.counted;
  if (counted > 0) evaluation.reward = totals.terms / counted;
  evaluation.outcome =
      outcome_name(counted == 0 ? OutcomeKind::kInfrastructure : kind_of(totals.kinds));
  evaluation.num_infra = totals.infra;
  evaluation.usage = usage_to_json(totals.usage);
  return evaluation;
}

double deviation(const std::vector<double>& values) {
  double mean = 0, squares = 0;
  for (const double v : values) mean += v / static_cast<double>(values.size());
  for (const double v : values) squares += (v - mean) * (v - mean);
  return values.empty() ? 0.0 : std::sqrt(squares / static_cast<double>(values.size()));
}

}  // namespace

Evaluation summarize_outcomes(const Workflow& workflow, const std::vector<const Task*>& tasks,
                              const std::vector<std::vector<Outcome>>& outcomes) {
  Totals totals;
  std::string error;
  std::vector<double> repeat_means;
  std::vector<double> task_pass(tasks.size()), task_reward(tasks.size()), num(tasks.size());
  for (const auto& row : outcomes) {
    double sum = 0, counted = 0;
    for (size_t t = 0; t < row.size(); ++t) {
      add_usage(totals.usage, row[t].usage);
      if (error.empty() || row[t].out_of_budget) error = row[t].error;
      totals.out_of_budget = totals.out_of_budget || row[t].out_of_budget;
      if (row[t].kind == Outcome::Kind::kInfrastructure) {
        ++totals.infra;
        continue;
      }
      const RewardTerms& terms = *row[t].reward;
      count(row[t], terms, totals);
      sum += terms.total;
      counted += 1;
      task_pass[t] += terms.pass;
      task_reward[t] += terms.total;
      num[t] += 1;
    }
    if (counted > 0) repeat_means.push_back(sum / counted);
  }
  Evaluation evaluation = evaluation_of(totals);
  evaluation.valid = workflow.valid;
  evaluation.num_steps = workflow.num_steps;
  evaluation.error = workflow.valid ? error : workflow.problem;
  for (const auto& outcome : outcomes.at(0)) evaluation.answers.push_back(outcome.answer);
  evaluation.reward_deviation = deviation(repeat_means);
  Json per_task = Json::object();
  for (size_t t = 0; t < tasks.size(); ++t) {
    evaluation.names_query = evaluation.names_query || names_query(*tasks[t], workflow);
    per_task[tasks[t]->id] = num[t] > 0 ? Json(task_pass[t] / num[t]) : Json();
    evaluation.task_rewards.push_back(num[t] > 0 ? task_reward[t] / num[t] : std::nan(""));
  }
  if (tasks.size() > 1) evaluation.usage["per_task"] = std::move(per_task);
  return evaluation;
}

void RunnerScorer::score(const std::vector<WorkflowScoreRequest>& requests,
                         const std::function<void(size_t, Evaluation)>& on_scored) {
  const auto batch = std::make_shared<Batch>();
  batch->entries.resize(requests.size());
  size_t missing = 0;
  for (size_t i = 0; i < requests.size(); ++i) {
    auto& entry = batch->entries[i];
    entry.workflow = workflow_of(*requests[i].candidate, environment_);
    for (const Task* task : *requests[i].tasks) entry.tasks.push_back(*task);
    const auto repeats = entry.workflow.valid ? static_cast<size_t>(requests[i].repeats) : 1;
    entry.outcomes.assign(repeats, std::vector<Outcome>(entry.tasks.size()));
    entry.missing = repeats * entry.tasks.size();
    missing += entry.missing;
  }
  for (size_t i = 0; i < requests.size(); ++i) start_runs(environment_, batch, i, requests[i]);
  while (missing > 0) {
    throw_if_stopped();
    auto answer = batch->answers.next(std::chrono::milliseconds(100));
    if (!answer) continue;
    auto& [index, value] = *answer;
    auto& entry = batch->entries[index];
    entry.outcomes[value.repeat][value.task] = std::move(value.outcome);
    --missing;
    if (--entry.missing == 0) {
      on_scored(index, summarize_outcomes(entry.workflow, *requests[index].tasks, entry.outcomes));
    }
  }
}

}  // namespace weft
