#include "trainer/evaluate/evaluation.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <tuple>
#include <utility>

#include "base/check.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/progress.h"
#include "base/stop.h"

namespace weft {

namespace {

/// Work handed to the evaluating thread by callbacks of models and runners. Shared with them, so
/// that a callback that comes after an exception finds it alive.
class Inbox {
 public:
  void post(std::function<void()> event) {
    {
      const std::lock_guard lock(mutex_);
      events_.push_back(std::move(event));
    }
    wake_.notify_one();
  }

  /// The next event; throws Interrupted when a signal came before.
  std::function<void()> next() {
    std::unique_lock lock(mutex_);
    do {
      throw_if_stopped();
    } while (
        !wake_.wait_for(lock, std::chrono::milliseconds(100), [this] { return !events_.empty(); }));
    auto event = std::move(events_.front());
    events_.pop_front();
    return event;
  }

 private:
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> events_;
};

/// One (method, task, sample) on its way.
struct Unit {
  size_t method = 0, task = 0;
  Workflow workflow;
  ResultRow row;
};
using UnitPtr = std::shared_ptr<Unit>;

class Run {
 public:
  Run(const EvaluationPlan& plan, const EvaluationOptions& options,
      const EvaluationBackend& backend, const KeepRow& keep)
      : plan_(plan), options_(options), backend_(backend), keep_(keep) {
    for (const Method& method : plan_.methods) {
      if (method.kind != MethodKind::kShuffled) continue;
      for (int sample = 0; sample < options_.samples_per_task; ++sample) {
        orders_[sample] = derangement(plan_.tasks.size(), options_.seed + uint64_t(sample));
      }
    }
  }
  ~Run() { cancelled_->store(true); }
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

  std::vector<ResultRow> go(const std::vector<ResultRow>& finished);

 private:
  using Key = std::tuple<size_t, size_t, int>;  // method, task, sample

  void take_over(const std::vector<ResultRow>& finished);
  void open_units();
  int64_t num_runs() const;
  int num_samples(const Method& method, const Task& task) const;
  const std::vector<std::string>& answers(const Method& method, const Task& task) const;
  void start_fixed(size_t method);
  void start_samples(size_t method);
  UnitPtr make_unit(size_t method, size_t task, int sample, ResultRow facts) const;
  void start_query(size_t method, size_t task);
  void ask_meta_agent(size_t method, size_t task);
  void take_response(size_t method, size_t task, const TextResponse& response);
  void answer_with(size_t method, size_t task, int sample, Workflow workflow, ResultRow facts);
  void feed_shuffled(size_t method, const Unit& written);
  void launch();
  void take_outcome(const UnitPtr& unit, const Outcome& outcome);
  void finish(const UnitPtr& unit, const Json& trace = Json::array());
  uint64_t seed_of(size_t task) const {
    return hash_combine(options_.seed, hash64(plan_.tasks[task].id));
  }
  bool is_done(size_t method, size_t task, int sample) const {
    return rows_.count({method, task, sample}) > 0;
  }

  const EvaluationPlan& plan_;
  const EvaluationOptions& options_;
  const EvaluationBackend& backend_;
  const KeepRow& keep_;
  std::map<int, std::vector<size_t>> orders_;  ///< sample -> whose workflow task i is answered with
  std::map<Key, ResultRow> rows_;
  std::optional<MethodBudgets> budgets_;
  std::deque<UnitPtr> ready_;
  int in_flight_ = 0;
  std::shared_ptr<Inbox> inbox_ = std::make_shared<Inbox>();
  CancelFlag cancelled_ = std::make_shared<std::atomic<bool>>(false);
  std::unique_ptr<Progress> progress_;
};

std::vector<ResultRow> Run::go(const std::vector<ResultRow>& finished) {
  take_over(finished);
  budgets_.emplace(options_.budget, plan_.methods, finished);
  const int64_t total = num_runs();
  progress_ =
      std::make_unique<Progress>("evaluate", total, "runs", int64_t(rows_.size()), backend_.tokens);
  if (int64_t(rows_.size()) < total) open_units();
  while (int64_t(rows_.size()) < total) {
    launch();
    if (int64_t(rows_.size()) < total) inbox_->next()();
  }
  std::vector<ResultRow> ordered;
  for (auto& [key, row] : rows_) ordered.push_back(std::move(row));
  return ordered;
}

int64_t Run::num_runs() const {
  int64_t total = 0;
  for (const Method& method : plan_.methods) {
    for (const Task& task : plan_.tasks) total += num_samples(method, task);
  }
  return total;
}

/// How many rows a method has on a task.
int Run::num_samples(const Method& method, const Task& task) const {
  if (method.kind != MethodKind::kSamples) return options_.samples_per_task;
  return static_cast<int>(answers(method, task).size());
}

const std::vector<std::string>& Run::answers(const Method& method, const Task& task) const {
  static const std::vector<std::string> kNone;
  const Samples& samples = plan_.samples.at(method.name);
  const auto found = samples.find(task.id);
  return found == samples.end() ? kNone : found->second;
}

void Run::take_over(const std::vector<ResultRow>& finished) {
  std::map<std::string, size_t> methods, tasks;
  for (size_t i = 0; i < plan_.methods.size(); ++i) methods[plan_.methods[i].name] = i;
  for (size_t i = 0; i < plan_.tasks.size(); ++i) tasks[plan_.tasks[i].id] = i;
  for (const ResultRow& row : finished) {
    const auto method = methods.find(row.method);
    const auto task = tasks.find(row.task);
    if (method == methods.end() || task == tasks.end()) continue;
    const Method& by = plan_.methods[method->second];
    const Task& of = plan_.tasks[task->second];
    if (row.sample >= num_samples(by, of)) continue;
    // A file of samples may have been written anew.
    if (by.kind == MethodKind::kSamples && row.answer != answers(by, of)[size_t(row.sample)]) {
      continue;
    }
    rows_[{method->second, task->second, row.sample}] = row;
  }
}

void Run::open_units() {
  for (size_t method = 0; method < plan_.methods.size(); ++method) {
    const MethodKind kind = plan_.methods[method].kind;
    if (kind == MethodKind::kFixed) start_fixed(method);
    if (kind == MethodKind::kSamples) start_samples(method);
    if (kind != MethodKind::kMeta && kind != MethodKind::kHybrid) continue;
    for (size_t task = 0; task < plan_.tasks.size(); ++task) start_query(method, task);
  }
}

void Run::start_fixed(size_t method) {
  std::map<std::pair<TaskKind, CodeForm>, Workflow> workflows;
  for (size_t task = 0; task < plan_.tasks.size(); ++task) {
    const Task& like = plan_.tasks[task];
    const auto [at, is_new] = workflows.try_emplace({like.kind, code_form(like)});
    Workflow& workflow = at->second;
    if (is_new) {
      workflow =
          backend_.environment->check(fixed_workflow_code(plan_.methods[method], like, options_));
      if (!workflow.valid) {
        throw InputError(fmt::format("methods: {}: expected a valid workflow, got: {}",
                                     plan_.methods[method].spec, workflow.problem));
      }
    }
    for (int sample = 0; sample < options_.samples_per_task; ++sample) {
      if (is_done(method, task, sample)) continue;
      ResultRow facts;
      facts.origin = "fixed";
      answer_with(method, task, sample, workflow, std::move(facts));
    }
  }
}

void Run::start_samples(size_t method) {
  for (size_t task = 0; task < plan_.tasks.size(); ++task) {
    const int count = num_samples(plan_.methods[method], plan_.tasks[task]);
    for (int sample = 0; sample < count; ++sample) {
      if (is_done(method, task, sample)) continue;
      ResultRow facts;
      facts.origin = "samples";
      ready_.push_back(make_unit(method, task, sample, std::move(facts)));
    }
  }
}

/// Starts one query of a meta or hybrid method, or hands what an earlier run wrote to its controls.
void Run::start_query(size_t method, size_t task) {
  bool missing = false;
  for (int sample = 0; sample < options_.samples_per_task; ++sample) {
    const auto done = rows_.find({method, task, sample});
    if (done == rows_.end()) {
      missing = true;
      continue;
    }
    Unit written{method, task, {}, done->second};
    if (!written.row.workflow.empty())
      written.workflow = backend_.environment->check(written.row.workflow);
    written.workflow.valid = written.workflow.valid && done->second.status != OutcomeKind::kInvalid;
    feed_shuffled(method, written);
  }
  if (!missing) return;
  if (plan_.methods[method].kind == MethodKind::kHybrid) {
    std::string code = backend_.pooled_code(plan_.methods[method], plan_.tasks[task]);
    if (!code.empty()) {
      const Workflow workflow = backend_.environment->check(std::move(code));
      for (int sample = 0; sample < options_.samples_per_task; ++sample) {
        if (is_done(method, task, sample)) continue;
        ResultRow facts;
        facts.origin = "pool";
        answer_with(method, task, sample, workflow, std::move(facts));
      }
      return;
    }
  }
  ask_meta_agent(method, task);
}

void Run::ask_meta_agent(size_t method, size_t task) {
  const MetaModel meta = backend_.meta_model(plan_.methods[method]);
  TextRequest request;
  request.prompt = backend_.environment->prompt(plan_.tasks[task]);
  request.n = options_.samples_per_task;
  request.sampling.temperature = options_.meta_temperature;
  request.sampling.top_p = options_.meta_top_p;
  request.sampling.max_tokens = options_.meta_max_tokens;
  request.sampling.seed = seed_of(task);
  request.adapter = meta.adapter;
  request.cancelled = cancelled_;
  TextModel& model = budgets_->model(method, *meta.model);
  model.submit(std::move(request), [this, inbox = inbox_, method, task](TextResponse reply) {
    auto response = std::make_shared<TextResponse>(std::move(reply));
    inbox->post([this, method, task, response] { take_response(method, task, *response); });
  });
}

void Run::take_response(size_t method, size_t task, const TextResponse& response) {
  const bool refused = response.status == ResponseStatus::kRefused;
  for (int sample = 0; sample < options_.samples_per_task; ++sample) {
    if (is_done(method, task, sample)) continue;
    ResultRow facts;
    facts.origin = "meta";
    Workflow workflow;
    if (response.status == ResponseStatus::kOk && size_t(sample) < response.choices.size()) {
      const Completion& choice = response.choices[size_t(sample)];
      workflow = backend_.environment->parse(choice.text_with_reasoning());
      const size_t prompt = response.prompt_ids.empty() ? size_t(response.usage.prompt_tokens)
                                                        : response.prompt_ids.size();
      facts.meta_tokens = int64_t(prompt + choice.ids.size());
      facts.usd = response.usage.usd / options_.samples_per_task;
      if (!workflow.valid && choice.finish == FinishReason::kLength) {
        workflow.problem += " (cut at meta_max_tokens)";
      }
      facts.status = OutcomeKind::kInvalid;
    } else {
      facts.status = refused ? OutcomeKind::kInvalid : OutcomeKind::kInfrastructure;
      workflow.problem = "meta-agent: " + response.error;
    }
    answer_with(method, task, sample, std::move(workflow), std::move(facts));
  }
}

UnitPtr Run::make_unit(size_t method, size_t task, int sample, ResultRow facts) const {
  auto unit = std::make_shared<Unit>(Unit{method, task, {}, std::move(facts)});
  unit->row.method = plan_.methods[method].name;
  unit->row.task = plan_.tasks[task].id;
  unit->row.sample = sample;
  return unit;
}

/// Queues the run of a workflow. One that is not valid is finished at once with facts.status.
void Run::answer_with(size_t method, size_t task, int sample, Workflow workflow, ResultRow facts) {
  const UnitPtr unit = make_unit(method, task, sample, std::move(facts));
  unit->workflow = std::move(workflow);
  unit->row.workflow = unit->workflow.code;
  unit->row.reasoning = unit->workflow.reasoning;
  unit->row.fingerprint = unit->workflow.facts.parses ? unit->workflow.facts.ast_hash : "";
  feed_shuffled(method, *unit);
  if (unit->workflow.valid) {
    ready_.push_back(unit);
    return;
  }
  unit->row.error = unit->workflow.problem;
  if (unit->row.origin == "pool") unit->row.status = OutcomeKind::kInvalid;
  finish(unit);
}

/// Answers the other query with what was written for this one, under every control of `method`.
void Run::feed_shuffled(size_t method, const Unit& written) {
  for (size_t control = 0; control < plan_.methods.size(); ++control) {
    const Method& candidate = plan_.methods[control];
    if (candidate.kind != MethodKind::kShuffled || candidate.source != plan_.methods[method].name) {
      continue;
    }
    const auto& order = orders_.at(written.row.sample);
    const auto target = std::find(order.begin(), order.end(), written.task) - order.begin();
    if (is_done(control, size_t(target), written.row.sample)) continue;
    ResultRow facts;
    facts.origin = plan_.tasks[written.task].id;
    facts.meta_tokens = written.row.meta_tokens;
    facts.status = written.row.status;
    answer_with(control, size_t(target), written.row.sample, written.workflow, std::move(facts));
  }
}

void Run::launch() {
  while (in_flight_ < options_.max_in_flight && !ready_.empty()) {
    const UnitPtr unit = ready_.front();
    ready_.pop_front();
    if (std::string spent = budgets_->spent(unit->method); !spent.empty()) {
      unit->row.error = std::move(spent);
      unit->row.status = OutcomeKind::kInfrastructure;
      finish(unit);
      continue;
    }
    const Method& method = plan_.methods[unit->method];
    const Task& task = plan_.tasks[unit->task];
    const auto scoring = plan_.scoring.find(task.id);
    const auto* tests = scoring == plan_.scoring.end() ? nullptr : &scoring->second.tests;
    auto deliver = [this, inbox = inbox_, unit](Outcome reply) {
      auto outcome = std::make_shared<Outcome>(std::move(reply));
      inbox->post([this, unit, outcome] { take_outcome(unit, *outcome); });
    };
    ++in_flight_;
    if (method.kind == MethodKind::kSamples) {
      const std::string& answer = answers(method, task)[size_t(unit->row.sample)];
      backend_.score({&task, answer, tests, cancelled_}, std::move(deliver));
      continue;
    }
    RunRequest request;
    request.workflow = &unit->workflow;
    request.task = &task;
    request.seed = hash_combine(seed_of(unit->task), uint64_t(unit->row.sample));
    request.tests = tests;
    request.shared_budget = budgets_->calls(unit->method);
    request.trace_text_bytes = options_.trace_bytes;
    backend_.environment->run(request, std::move(deliver));
  }
}

void Run::take_outcome(const UnitPtr& unit, const Outcome& outcome) {
  --in_flight_;
  budgets_->add_time(unit->method, outcome.wall_ms);
  ResultRow& row = unit->row;
  row.status = outcome.kind;
  const auto scoring = plan_.scoring.find(row.task);
  AnswerScore score{outcome.pass_rate, outcome.pass_rate, outcome.passed, outcome.declared};
  if (scoring != plan_.scoring.end() && outcome.kind == Outcome::Kind::kScored) {
    score = score_tests(scoring->second, outcome.test_passed);
  }
  row.score = score.score;
  row.pass_rate = score.pass_rate;
  row.passed = score.passed;
  row.declared = score.declared;
  row.rule = outcome.rule;
  row.exact_match = outcome.exact_match;
  row.worker_tokens = outcome.usage.prompt_tokens + outcome.usage.completion_tokens;
  row.calls = outcome.usage.calls;
  row.usd += outcome.usage.usd;
  row.wall_ms = outcome.wall_ms;
  row.clock_decisions = outcome.usage.clock_decisions;
  row.answer = outcome.answer;
  row.error = outcome.error;
  finish(unit, outcome.trace);
}

void Run::finish(const UnitPtr& unit, const Json& trace) {
  keep_(unit->row, trace);
  rows_[{unit->method, unit->task, unit->row.sample}] = unit->row;
  progress_->advance();
}

}  // namespace

std::vector<ResultRow> evaluate(const EvaluationPlan& plan, const EvaluationOptions& options,
                                const EvaluationBackend& backend,
                                const std::vector<ResultRow>& finished, const KeepRow& keep) {
  options.validate();
  return Run(plan, options, backend, keep).go(finished);
}

}  // namespace weft
