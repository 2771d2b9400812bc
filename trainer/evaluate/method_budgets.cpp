#include "trainer/evaluate/method_budgets.h"

#include "base/check.h"

namespace weft {

namespace {

/// What the rows of a method took. A query of a meta-agent was one call, whatever its samples.
Spent spent_by(const std::string& method, const std::vector<ResultRow>& rows, int64_t& wall_ms) {
  Spent spent;
  for (const ResultRow& row : rows) {
    if (row.method != method) continue;
    spent.worker_calls += row.calls;
    spent.generator_calls += row.origin == "meta" && row.sample == 0;
    spent.completion_tokens += row.worker_tokens;
    if (row.origin == "meta") spent.completion_tokens += row.meta_tokens;
    spent.usd += row.usd;
    wall_ms += row.wall_ms;
  }
  return spent;
}

}  // namespace

void MethodBudget::validate() const {
  require_at_least("calls", calls, 0);
  require_at_least("tokens", tokens, 0);
  require_at_least("usd", usd, 0);
  require_at_least("seconds", seconds, 0);
}

MethodBudgets::MethodBudgets(const MethodBudget& options, const std::vector<Method>& methods,
                             const std::vector<ResultRow>& finished)
    : most_ms_(1000 * options.seconds), wall_ms_(methods.size()) {
  BudgetOptions limits;
  limits.calls = options.calls;
  limits.tokens = options.tokens;
  limits.usd = options.usd;
  for (size_t i = 0; i < methods.size(); ++i) {
    const Spent before = spent_by(methods[i].name, finished, wall_ms_[i]);
    budgets_.push_back(std::make_unique<Budget>(limits, before));
  }
}

std::string MethodBudgets::spent(size_t method) const {
  if (most_ms_ > 0 && wall_ms_[method] >= most_ms_) return "budget.seconds of the method is spent";
  if (budgets_[method]->has_refused()) return "the method's budget is spent";
  return "";
}

std::shared_ptr<CallBudget> MethodBudgets::calls(size_t method) const {
  return budgets_[method]->calls();
}

TextModel& MethodBudgets::model(size_t method, TextModel& model) {
  const auto calls = budgets_[method]->calls();
  if (!calls) return model;
  auto& budgeted = models_[method];
  if (!budgeted) budgeted = std::make_unique<BudgetedModel>(model, calls);
  return *budgeted;
}

}  // namespace weft
