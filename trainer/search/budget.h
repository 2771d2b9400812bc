/// What a search may spend, and what it has spent.
#pragma once

#include <cstdint>
#include <memory>

#include "base/config.h"
#include "base/json.h"
#include "model/text_model.h"
#include "sandbox/workflow/worker.h"

namespace weft {

/// 0 everywhere means no limit.
struct BudgetOptions {
  int64_t workflows = 0;
  int64_t calls = 0;
  int64_t tokens = 0;
  double usd = 0;

  template <class V>
  void visit(V& v) {
    v("workflows", workflows,
      "most workflows that a search writes and executes; never exceeded, the final choice apart");
    v("calls", calls, "most model calls, of generator and worker; never exceeded");
    v("tokens", tokens, "most tokens, prompts included; never exceeded");
    v("usd", usd, "most money; never exceeded");
  }
  void validate() const;  ///< throws InputError
  bool any() const { return workflows > 0 || calls > 0 || tokens > 0 || usd > 0; }
};

struct Spent {
  int64_t workflows = 0;
  int64_t generator_calls = 0, worker_calls = 0;
  int64_t prompt_tokens = 0, completion_tokens = 0;
  double usd = 0;

  int64_t calls() const { return generator_calls + worker_calls; }
  int64_t tokens() const { return prompt_tokens + completion_tokens; }
  Spent& operator+=(const Spent& more);
  Json to_json() const;
};

/// What `calls` requests to a generator used.
Spent spent_by_generator(const TextUsage& usage, int64_t calls);

/// What a worker used: the fields "calls", "prompt_tokens", "completion_tokens" and "usd" of
/// Evaluation::usage, absent ones count as 0.
Spent spent_by_worker(const Json& usage);

/// Inverse of to_json; throws InputError.
Spent spent_from_json(const Json& json);

/// Thread-safe.
class Budget {
 public:
  explicit Budget(BudgetOptions options, Spent before = {});

  /// Counts up to `wanted` more workflows, as many as the limits leave, and returns their number.
  /// Each is taken to need `calls_each` calls; what it needs beyond is known later only.
  int64_t reserve_workflows(int64_t wanted, int64_t calls_each = 1);
  bool reserve_workflow() { return reserve_workflows(1) == 1; }
  /// Gives back reservations whose workflows were not written, or need not be run.
  void release_workflows(int64_t count) { add({.workflows = -count}); }
  bool exhausted() const;
  /// Whether calls, tokens or money are spent, with `more` on top: what ends other work than
  /// searching, too.
  bool means_spent(const Spent& more = {}) const;
  void add(const Spent& more);
  Spent spent() const;

  /// What workflows and generators under way set their calls aside in, so that calls, tokens and
  /// money stay within their limits whatever runs at once; null where none of these is limited.
  /// What its calls took is counted at once, and by add() no second time. It may outlive the
  /// budget.
  std::shared_ptr<CallBudget> calls() const;

  /// Whether calls() has refused a call for good.
  bool has_refused() const;

 private:
  class Account;
  std::shared_ptr<Account> account_;
};

}  // namespace weft
