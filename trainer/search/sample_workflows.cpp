#include "trainer/search/sample_workflows.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "base/check.h"
#include "base/clock_report.h"
#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/machine.h"
#include "base/progress.h"
#include "trainer/search/final_choice.h"
#include "trainer/search/search_report.h"
#include "trainer/search/shared_budget.h"

namespace weft {

namespace {

constexpr const char* kFinalKey = "search_final";

/// `count` of `size` indices, drawn by the seed, in ascending order; 0 takes all.
std::vector<size_t> draw_subset(size_t size, int64_t count, uint64_t seed) {
  std::vector<size_t> indices(size);
  std::iota(indices.begin(), indices.end(), size_t{0});
  if (count > 0 && static_cast<size_t>(count) < size) {
    Rng rng(seed);
    rng.shuffle(indices);
    indices.resize(static_cast<size_t>(count));
    std::sort(indices.begin(), indices.end());
  }
  return indices;
}

std::vector<const Task*> used_tasks(const SampleOptions& options, const std::vector<Task>& tasks) {
  std::vector<const Task*> used;
  const uint64_t seed = hash_combine(options.seed, hash64("tasks"));
  for (const size_t i : draw_subset(tasks.size(), options.max_tasks, seed)) {
    used.push_back(&tasks[i]);
  }
  return used;
}

/// The query that stands for all tasks of a set: its kind, and a few of its queries. It has no test
/// and no answer, and in place of an entry point the name of the argument that holds it.
Task task_of_set(const SampleOptions& options, const std::vector<const Task*>& tasks) {
  const Task& first = *tasks.front();
  Task set;
  set.id = "set:" + (first.dataset.empty() ? std::string("tasks") : first.dataset);
  set.dataset = first.dataset;
  set.kind = first.kind;
  if (!first.entry_point.empty()) set.entry_point = kEntryArgument;
  set.prompt = options.task_description;
  if (set.prompt.empty()) {
    set.prompt = "Any query of a set of " + std::string(to_string(set.kind)) + " tasks such as:";
    for (size_t i = 0; i < std::min<size_t>(3, tasks.size()); ++i) {
      set.prompt += "\n- " + tasks[i]->prompt;
    }
  }
  return set;
}

void require_one_kind(const std::vector<const Task*>& tasks) {
  for (const Task* task : tasks) {
    if (task->kind != tasks.front()->kind) {
      throw InputError(fmt::format(
          "scope=task_level: expected tasks of one kind, got {} ({}) and {} "
          "({})",
          to_string(tasks.front()->kind), tasks.front()->id, to_string(task->kind), task->id));
    }
  }
}

/// Runs every target, several at a time.
class SearchPool {
 public:
  SearchPool(const SampleOptions& options, const SearchTools& tools,
             std::vector<SearchTarget> targets)
      : options_(options),
        tools_(tools),
        targets_(std::move(targets)),
        budget_(options.budget, targets_.size(), static_cast<size_t>(options.concurrent_searches),
                [this](size_t i) { return spent_in(rows_of(targets_[i])); }),
        reports_(targets_.size()),
        advanced_(targets_.size()),
        rounds_(num_rounds(options.search)),
        progress_("search", static_cast<int64_t>(targets_.size()) * rounds_, "rounds", 0,
                  tools.tokens) {}

  void run() {
    budget_.run([this](size_t i, Budget& budget) { return search(i, budget); });
  }

  Json reports() const {
    Json all = Json::object();
    for (size_t i = 0; i < targets_.size(); ++i) all[targets_[i].id] = reports_[i];
    return all;
  }

  Spent spent() const { return budget_.spent(); }

 private:
  std::vector<Trajectory> rows_of(const SearchTarget& target) const {
    TrajectoryFilter filter;
    filter.task_id = target.id;
    return tools_.store.select(filter);
  }

  /// True when the budget cut it short and more of it could help: a batch is cut also where a few
  /// calls are left, and goes on as long as it leaves anything new.
  bool search(size_t i, Budget& budget) {
    const size_t before = rows_of(targets_[i]).size();
    const auto budgeted = tools_.generator.under(budget.calls());
    StepGenerator& generator = budgeted ? *budgeted : tools_.generator;
    Evaluator evaluator(targets_[i], generator, tools_.scorer, tools_.store, budget,
                        options_.search.evaluation, tools_.feedback);
    reports_[i] =
        run_search(options_.search, evaluator, tools_.store, [&](const RoundReport& round) {
          note(round);
          progress_.advance();
          ++advanced_[i];
        });
    const bool went_on =
        reports_[i].value("cut_by_budget", false) && rows_of(targets_[i]).size() > before;
    if (!reports_[i].at("complete").get<bool>() && (budget.exhausted() || went_on)) return true;
    if (advanced_[i] < rounds_) progress_.advance(rounds_ - advanced_[i]);
    return false;
  }

  void note(const RoundReport& round) {
    const Spent spent = budget_.spent();
    const std::string rewards =
        round.num_scored > 0
            ? fmt::format("mean {:.3f} best {:.3f}", round.reward_mean, round.reward_best)
            : "without a reward";
    progress_.note(fmt::format("round {} {}, {} workflows, {} calls", round.round, rewards,
                               spent.workflows, spent.calls()));
  }

  const SampleOptions& options_;
  const SearchTools& tools_;
  const std::vector<SearchTarget> targets_;
  SharedBudget budget_;
  std::vector<Json> reports_;
  std::vector<int64_t> advanced_;  ///< rounds shown as progress
  const int64_t rounds_;
  Progress progress_;
};

Json choose_best(const SampleOptions& options, const std::vector<const Task*>& tasks,
                 const std::vector<Trajectory>& rows, const SearchTools& tools, Budget& budget,
                 const std::filesystem::path& dir) {
  const auto before = tools.store.get_state(kFinalKey);
  if (before) budget.add(spent_from_json(before->at("spent")));
  if (before && before->at("rows") == rows.size()) return *before;
  const auto few = shortlist(rows, options.search.evaluation.objective,
                             static_cast<size_t>(options.final.candidates));
  if (few.empty()) return nullptr;
  std::vector<const Task*> chosen;
  const uint64_t seed = hash_combine(options.seed, hash64("final_tasks"));
  for (const size_t i : draw_subset(tasks.size(), options.final.tasks, seed)) {
    chosen.push_back(tasks[i]);
  }
  log::info("running the best {} workflows again on {} tasks", few.size(), chosen.size());
  Json choice = reevaluate(few, chosen, options, tools.scorer, budget);
  if (choice["best"].is_null()) return choice;
  write_file_atomically(dir / "best_workflow.py", few[choice["best"].get<size_t>()].code);
  choice["rows"] = rows.size();
  tools.store.put_state(kFinalKey, choice);
  return choice;
}

}  // namespace

void FinalOptions::validate() const {
  require_at_least("candidates", candidates, 0);
  require_at_least("repeats", repeats, 1);
  require_room("repeats", repeats, kRecordBytes);
  require_at_least("tasks", tasks, 0);
}

void SampleOptions::validate() const {
  require_at_least("max_tasks", max_tasks, 0);
  require_at_least("reward_tasks", reward_tasks, 0);
  require_concurrent("concurrent_searches", concurrent_searches);
}

std::vector<SearchTarget> make_targets(const SampleOptions& options, const std::vector<Task>& tasks,
                                       const SearchTools& tools) {
  const auto used = used_tasks(options, tasks);
  if (used.empty()) throw InputError("tasks: expected at least one");
  const auto target = [&](const Task& task, std::vector<const Task*> scored_on) {
    return SearchTarget{task.id,
                        task,
                        std::move(scored_on),
                        tools.prompt(task),
                        tools.worker_name,
                        hash_combine(options.seed, hash64(task.id))};
  };
  std::vector<SearchTarget> targets;
  if (options.scope == SearchScope::kPerQuery) {
    for (const Task* task : used) targets.push_back(target(*task, {task}));
    return targets;
  }
  require_one_kind(used);
  std::vector<const Task*> scored_on;
  const uint64_t seed = hash_combine(options.seed, hash64("reward_tasks"));
  for (const size_t i : draw_subset(used.size(), options.reward_tasks, seed)) {
    scored_on.push_back(used[i]);
  }
  targets.push_back(target(task_of_set(options, scored_on), scored_on));
  return targets;
}

Json sample_workflows(const SampleOptions& options, const std::vector<Task>& tasks,
                      const SearchTools& tools, const std::filesystem::path& dir) {
  options.validate();
  SearchPool pool(options, tools, make_targets(options, tasks, tools));
  pool.run();
  Budget budget(options.budget, pool.spent());

  const Json reports = pool.reports();
  const auto rows = tools.store.select();
  const bool exhausted = budget.exhausted() || any_cut(reports);
  if (exhausted) log::warn("the budget is spent; searches may be unfinished");
  const Json choice = choose_best(options, used_tasks(options, tasks), rows, tools, budget, dir);
  Json report = {
      {"scope", options.scope == SearchScope::kPerQuery ? "per_query" : "task_level"},
      {"generator", tools.generator.origin()},
      {"worker", tools.worker_name},
      {"objective",
       options.search.evaluation.objective == Objective::kReward ? "reward" : "pass_rate"},
      {"reward", tools.reward_text},
      {"searches", reports.size()},
      {"counts", counts_of(rows, reports)},
      {"reasons", reasons_of(rows, reports)},
      {"budget", config_to_json(options.budget)},
      {"spent", budget.spent().to_json()},
      {"budget_exhausted", exhausted},
      {"curve", reward_curve(reports)},
      {"final", choice},
      {"clock", report_clock(tools.clock_reasons, clock_decisions_in(rows))},
      {"targets", reports}};
  report.update(edits_of(rows));
  write_file_atomically(dir / "report.json", dump_json_pretty(report));
  require_found(rows, report);
  return report;
}

}  // namespace weft
