#include "trainer/search/collect_traces.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <optional>

#include "base/check.h"
#include "base/clock_report.h"
#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/machine.h"
#include "base/progress.h"
#include "base/reasons.h"
#include "base/stop.h"
#include "trainer/search/search_report.h"
#include "trainer/search/shared_budget.h"
#include "trainer/search/trace_store.h"

namespace weft {

namespace {

/// All queries of a run, several at a time.
class Collection {
 public:
  Collection(const TraceOptions& options, const std::vector<Task>& tasks, const SearchTools& tools)
      : options_(options),
        tools_(tools),
        queries_(all_queries(options, tasks)),
        budget_(options.budget, queries_.size(), static_cast<size_t>(options.concurrent_queries),
                [this](size_t i) { return progress_of(queries_[i]).spent(); }) {
    progress_.emplace("traces", static_cast<int64_t>(queries_.size()), "traces", 0, tools.tokens);
  }

  void run() {
    std::vector<char> is_cut(queries_.size(), 1);  // or never begun
    budget_.run([&](size_t i, Budget& budget) {
      const Spent before = budget.spent();
      is_cut[i] = collect(queries_[i], budget);
      const Spent after = budget.spent();  // more of the budget helps only where something was done
      return is_cut[i] && (after.calls() > before.calls() || !budget.has_refused());
    });
    for (size_t i = 0; i < queries_.size(); ++i) {
      if (!is_cut[i]) continue;
      TraceProgress progress = progress_of(queries_[i]);
      if (!progress.rounds().empty()) finish(progress);
    }
    progress_.reset();
    if (error_) std::rethrow_exception(error_);
  }

  Json report() const {
    return {
        {"teacher", tools_.generator.origin()},
        {"worker", tools_.worker_name},
        {"queries", queries_.size()},
        {"done", done_.load()},
        {"traces", traces_.load()},
        {"no_valid_workflow", done_.load() - traces_.load() - no_reasoning_.load()},
        {"no_reasoning", no_reasoning_.load()},
        {"failed", failed_.load()},
        {"failures", failures_.to_json()},
        {"clock", report_clock(tools_.clock_reasons, clock_decisions_in(tools_.store.select()))},
        {"spent", budget_.spent().to_json()},
        {"budget_exhausted", Budget(options_.budget, budget_.spent()).exhausted()}};
  }

  int64_t num_traces() const { return traces_; }
  int64_t num_failed() const { return failed_; }
  int64_t num_left() const { return static_cast<int64_t>(queries_.size()) - done_; }

 private:
  struct Query {
    const Task* task;
    int64_t number;
  };

  static std::vector<Query> all_queries(const TraceOptions& options,
                                        const std::vector<Task>& tasks) {
    const size_t count = options.max_tasks > 0
                             ? std::min(tasks.size(), static_cast<size_t>(options.max_tasks))
                             : tasks.size();
    std::vector<Query> queries;
    for (int64_t n = 0; n < options.traces_per_task; ++n) {
      for (size_t i = 0; i < count; ++i) queries.push_back({&tasks[i], n});
    }
    return queries;
  }

  TraceProgress progress_of(const Query& query) const {
    return {tools_, *query.task, query.number, options_.seed};
  }

  /// True when the budget cut it short.
  bool collect(const Query& query, Budget& budget) {
    TraceProgress progress = progress_of(query);
    const auto budgeted = tools_.generator.under(budget.calls());
    StepGenerator& teacher = budgeted ? *budgeted : tools_.generator;
    while (!finished(progress)) {
      throw_if_stopped();
      if (stopped_) return false;
      if (!budget.reserve_workflow()) return true;
      const Round round = add_round(*query.task, progress, teacher, budget);
      if (round != Round::kAdded) return round == Round::kCut;
    }
    finish(progress);
    return false;
  }

  void finish(TraceProgress& progress) {
    const TraceProgress::End end = progress.finish();
    traces_ += end == TraceProgress::End::kTrace;
    no_reasoning_ += end == TraceProgress::End::kNoReasoning;
    ++done_;
    progress_->advance();
    progress_->note(fmt::format("{} traces, {} failures, {} tokens", traces_.load(), failed_.load(),
                                budget_.spent().tokens()));
  }

  bool finished(const TraceProgress& progress) const {
    const auto& rounds = progress.rounds();
    if (progress.done() || static_cast<int64_t>(rounds.size()) >= options_.rounds) return true;
    return options_.stop_when_solved && !rounds.empty() && rounds.back().reward.pass >= 1;
  }

  enum class Round {
    kAdded,
    kFailed,  ///< the teacher or the infrastructure; the query is left as it was
    kCut,     ///< by the budget; likewise
  };

  Round add_round(const Task& task, TraceProgress& progress, StepGenerator& teacher,
                  Budget& budget) {
    Candidate candidate = progress.ask(teacher);
    budget.add(spent_by_generator(candidate.usage, candidate.calls));
    if (candidate.status == Candidate::Status::kFailed) {
      budget.release_workflows(1);
      if (candidate.out_of_budget && budget.has_refused()) return Round::kCut;
      return count_failure(task, candidate.problem, candidate.out_of_budget);
    }

    Evaluation evaluation;
    const std::vector<const Task*> tasks = {&task};
    tools_.scorer.score({{&candidate, &tasks, 1, progress.run_seed(), budget.calls()}},
                        [&](size_t, Evaluation e) { evaluation = std::move(e); });
    budget.add(spent_by_worker(evaluation.usage));
    if (evaluation.out_of_budget) return Round::kCut;
    if (!evaluation.rewarded()) return count_failure(task, evaluation.error, false);
    failures_in_a_row_ = 0;
    evaluation.feedback =
        tools_.feedback ? tools_.feedback(tasks, candidate, evaluation) : evaluation.error;
    if (candidate.status == Candidate::Status::kWritten && !candidate.edited_from.empty()) {
      evaluation.edit = tools_.scorer.compare(candidate.edited_from, candidate.code);
    }
    progress.add(candidate, evaluation);
    return Round::kAdded;
  }

  /// Many failures in a row end the run: with an error, or quietly where the teacher's own budget
  /// is spent and there is something to keep. Always kFailed.
  Round count_failure(const Task& task, const std::string& what, bool out_of_budget) {
    ++failed_;
    log::warn("{}: no round: {}", task.id, what);
    const std::lock_guard lock(mutex_);
    failures_.add(what);
    if (++failures_in_a_row_ < options_.max_failures || stopped_) return Round::kFailed;
    stopped_ = true;
    if (!out_of_budget || traces_ == 0) {
      error_ = std::make_exception_ptr(
          Error(fmt::format("the teacher failed {} times in a row, last: {}; {} traces are kept, "
                            "--resume goes on",
                            failures_in_a_row_.load(), what, traces_.load())));
    }
    return Round::kFailed;
  }

  const TraceOptions& options_;
  const SearchTools& tools_;
  const std::vector<Query> queries_;
  SharedBudget budget_;
  std::optional<Progress> progress_;
  std::atomic<int64_t> done_{0}, traces_{0}, no_reasoning_{0}, failed_{0}, failures_in_a_row_{0};
  std::atomic<bool> stopped_{false};
  std::mutex mutex_;
  std::exception_ptr error_;
  ReasonCounts failures_;
};

void replace_all(std::string& text, std::string_view what, std::string_view by) {
  for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + by.size())) {
    text.replace(at, what.size(), by);
  }
}

std::string without_marks(std::string text) {
  replace_all(text, "```", "'''");
  replace_all(text, "<think>", "");
  replace_all(text, "</think>", "");
  return text;
}

/// One line for a run without a single trace.
std::string why_nothing(const Json& report) {
  std::string text = fmt::format("not one trace was collected from {} queries",
                                 report.at("queries").get<size_t>());
  if (report.at("budget_exhausted").get<bool>()) text += "; the budget is spent";
  if (const auto bare = report.at("no_reasoning").get<int64_t>(); bare > 0) {
    text += fmt::format("; {} queries have workflows without reasoning", bare);
  }
  for (const auto& [what, reasons] : {std::pair("no round", report.at("failures")),
                                      std::pair("invalid", report.at("reasons").at("invalid"))}) {
    if (!reasons.empty()) text += fmt::format("; {}: {}", what, listed_reasons(reasons));
  }
  return text;
}

}  // namespace

void TraceOptions::validate() const {
  require_at_least("rounds", rounds, 1);
  require_at_least("max_tasks", max_tasks, 0);
  require_at_least("traces_per_task", traces_per_task, 1);
  require_room("traces_per_task", traces_per_task, kRecordBytes);
  require_concurrent("concurrent_queries", concurrent_queries);
  require_at_least("max_failures", max_failures, 1);
}

JoinedTrace join_rounds(const std::vector<TraceRound>& rounds) {
  JoinedTrace trace;
  for (size_t i = 0; i < rounds.size(); ++i) {
    if (!rounds[i].valid) continue;
    if (trace.chosen < 0 ||
        rounds[i].reward.total > rounds[static_cast<size_t>(trace.chosen)].reward.total) {
      trace.chosen = static_cast<int64_t>(i);
    }
  }
  const auto end = rounds.begin() + trace.chosen + 1;
  if (std::all_of(rounds.begin(), end, [](const auto& round) { return round.reasoning.empty(); })) {
    return trace;
  }
  for (int64_t i = 0; i <= trace.chosen; ++i) {
    const TraceRound& round = rounds[static_cast<size_t>(i)];
    if (!trace.reasoning.empty()) trace.reasoning += "\n";
    if (trace.chosen > 0) trace.reasoning += fmt::format("Round {}. ", i + 1);
    trace.reasoning += round.reasoning;
    if (i < trace.chosen) trace.reasoning += "\nResult: " + round.feedback;
  }
  trace.reasoning = without_marks(std::move(trace.reasoning));
  return trace;
}

Json collect_traces(const TraceOptions& options, const std::vector<Task>& tasks,
                    const SearchTools& tools, const std::filesystem::path& dir) {
  options.validate();
  Collection collection(options, tasks, tools);
  collection.run();
  const auto rows = tools.store.select();
  Json report = collection.report();
  report["reasons"] = reasons_of(rows, Json::object());
  report.update(edits_of(rows));
  write_file_atomically(dir / "report.json", dump_json_pretty(report));
  if (collection.num_traces() == 0) throw Error(why_nothing(report));
  if (report["budget_exhausted"].get<bool>()) {
    log::warn("the budget is spent: {} traces are kept, {} queries are left",
              collection.num_traces(), collection.num_left());
  } else if (collection.num_failed() > 0) {
    log::warn("{} queries failed: {} traces are kept, --resume tries the others again",
              collection.num_failed(), collection.num_traces());
  }
  return report;
}

}  // namespace weft
