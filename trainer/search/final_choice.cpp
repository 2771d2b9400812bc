#include "trainer/search/final_choice.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "base/hash.h"
#include "base/log.h"
#include "base/reasons.h"
#include "trainer/evaluate/statistics.h"

namespace weft {

namespace {

double objective_of(const Trajectory& row, Objective objective) {
  return objective == Objective::kReward ? row.reward : row.pass_rate;
}

struct KindGroup {
  double sum = 0;
  int64_t num = 0;
  const Trajectory* best = nullptr;
};

/// The best row of each kind, the kinds in order of their shrunk mean.
std::vector<const Trajectory*> best_of_kinds(const std::vector<const Trajectory*>& rows,
                                             Objective objective) {
  constexpr double kPseudoCounts = 2;
  std::map<std::string, KindGroup> groups;
  double total = 0;
  for (const Trajectory* row : rows) {
    const double value = objective_of(*row, objective);
    total += value;
    if (row->kind.empty()) continue;
    KindGroup& group = groups[row->kind.substr(0, row->kind.find('+'))];
    group.sum += value;
    ++group.num;
    if (!group.best || value > objective_of(*group.best, objective)) group.best = row;
  }
  const double mean = rows.empty() ? 0 : total / static_cast<double>(rows.size());
  std::vector<std::pair<double, const Trajectory*>> ranked;
  for (const auto& [kind, group] : groups) {
    const double shrunk =
        (group.sum + kPseudoCounts * mean) / (static_cast<double>(group.num) + kPseudoCounts);
    ranked.emplace_back(shrunk, group.best);
  }
  std::stable_sort(ranked.begin(), ranked.end(),
                   [](const auto& a, const auto& b) { return a.first > b.first; });
  std::vector<const Trajectory*> best;
  for (const auto& [shrunk, row] : ranked) best.push_back(row);
  return best;
}

}  // namespace

std::vector<Trajectory> shortlist(const std::vector<Trajectory>& rows, Objective objective,
                                  size_t count) {
  std::vector<const Trajectory*> usable;
  std::set<std::string> tasks;
  for (const auto& row : rows) {
    if (!row.valid || row.outcome != "scored") continue;
    usable.push_back(&row);
    tasks.insert(row.task_id);
  }
  std::vector<const Trajectory*> order;
  if (tasks.size() > 1) order = best_of_kinds(usable, objective);
  std::stable_sort(usable.begin(), usable.end(), [&](const Trajectory* a, const Trajectory* b) {
    return objective_of(*a, objective) > objective_of(*b, objective);
  });
  order.insert(order.end(), usable.begin(), usable.end());
  std::vector<Trajectory> chosen;
  std::set<std::string> codes;
  for (const Trajectory* row : order) {
    if (chosen.size() >= count) break;
    if (codes.insert(row->code).second) chosen.push_back(*row);
  }
  return chosen;
}

Json reevaluate(const std::vector<Trajectory>& shortlist, const std::vector<const Task*>& tasks,
                const SampleOptions& options, SearchScorer& scorer, Budget& budget) {
  std::vector<Candidate> candidates;
  for (const auto& row : shortlist) candidates.push_back(from_trajectory(row).candidate);
  const uint64_t seed = hash_combine(options.seed, hash64("final"));
  std::vector<Evaluation> evaluations(candidates.size());
  Spent spent;
  size_t num_run = 0;
  for (; num_run < candidates.size() && !budget.means_spent(); ++num_run) {
    scorer.score({{&candidates[num_run], &tasks, options.final.repeats, seed, budget.calls()}},
                 [&](size_t, Evaluation e) { evaluations[num_run] = std::move(e); });
    const Spent more = spent_by_worker(evaluations[num_run].usage);
    budget.add(more);
    spent += more;
    if (!evaluations[num_run].out_of_budget) continue;
    evaluations[num_run] = {};
    break;
  }

  const Objective objective = options.search.evaluation.objective;
  Json out = {{"candidates", Json::array()}, {"best", nullptr}, {"spent", spent.to_json()}};
  if (num_run < candidates.size()) {
    log::warn("the budget is spent: {} of {} candidates were run again", num_run,
              candidates.size());
  }
  if (num_run == 0) out["best"] = 0;
  double best = 0;
  ReasonCounts unscored;
  for (size_t i = 0; i < shortlist.size(); ++i) {
    const Estimate estimate = estimate_mean(one_each(evaluations[i].task_rewards), {}, kNoBounds);
    Json entry = {{"row", shortlist[i].id},
                  {"kind", shortlist[i].kind},
                  {"origin", shortlist[i].origin},
                  {"search_reward", shortlist[i].reward},
                  {"search_pass_rate", shortlist[i].pass_rate}};
    if (estimate.n > 0) {
      const auto& evaluation = evaluations[i];
      add_estimate(entry, "reward", estimate);
      entry["pass_rate"] = evaluation.reward.pass;
      entry["repeats"] = options.final.repeats;
      const double value = objective == Objective::kReward ? estimate.mean : evaluation.reward.pass;
      if (out["best"].is_null() || value > best) {
        best = value;
        out["best"] = i;
      }
    }
    if (estimate.n == 0 && i < num_run) unscored.add(evaluations[i].error);
    out["candidates"].push_back(std::move(entry));
  }
  out["reasons"] = unscored.to_json();
  return out;
}

}  // namespace weft
