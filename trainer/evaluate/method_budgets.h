/// One budget for each method of an evaluation: what all of its runs may take together.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/config.h"
#include "model/text_model.h"
#include "sandbox/workflow/worker.h"
#include "trainer/evaluate/methods.h"
#include "trainer/evaluate/results.h"
#include "trainer/search/budget.h"
#include "trainer/search/budgeted_model.h"

namespace weft {

/// The same for every method; 0 everywhere means no limit.
struct MethodBudget {
  int64_t calls = 0;
  int64_t tokens = 0;
  double usd = 0;
  int64_t seconds = 0;

  template <class V>
  void visit(V& v) {
    v("calls", calls, "most model calls of a method, of meta-agent and worker; never exceeded");
    v("tokens", tokens, "most tokens of a method, prompts included; never exceeded");
    v("usd", usd, "most money of a method; never exceeded");
    v("seconds", seconds,
      "most time of a method's runs, added up; runs that have begun end as they would");
  }
  void validate() const;  ///< throws InputError
};

/// What is spent of them. Used by one thread, but for what it hands out.
class MethodBudgets {
 public:
  /// `finished` are rows of earlier processes, whose cost counts. Of a meta-agent's query with
  /// several samples the prompt then counts with each.
  MethodBudgets(const MethodBudget& options, const std::vector<Method>& methods,
                const std::vector<ResultRow>& finished);

  /// Which of its limits keeps a method from further runs; empty where none does.
  std::string spent(size_t method) const;

  /// What its runs set their calls aside in; null without a limit on calls, tokens and money.
  std::shared_ptr<CallBudget> calls(size_t method) const;

  /// The model behind the method's budget, or as it is without one. Borrows the model.
  TextModel& model(size_t method, TextModel& model);

  /// Adds the time of a run.
  void add_time(size_t method, int64_t wall_ms) { wall_ms_[method] += wall_ms; }

 private:
  int64_t most_ms_ = 0;
  std::vector<int64_t> wall_ms_;                  ///< [methods]
  std::vector<std::unique_ptr<Budget>> budgets_;  ///< [methods]
  std::map<size_t, std::unique_ptr<BudgetedModel>> models_;
};

}  // namespace weft
