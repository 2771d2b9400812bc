#include "trainer/search/budget.h"

#include <algorithm>
#include <functional>
#include <mutex>
#include <utility>
#include <vector>

#include "base/check.h"

namespace weft {

void BudgetOptions::validate() const {
  require_at_least("workflows", workflows, 0);
  require_at_least("calls", calls, 0);
  require_at_least("tokens", tokens, 0);
  require_at_least("usd", usd, 0);
}

Json Spent::to_json() const {
  return {{"workflows", workflows},
          {"generator_calls", generator_calls},
          {"worker_calls", worker_calls},
          {"prompt_tokens", prompt_tokens},
          {"completion_tokens", completion_tokens},
          {"usd", usd}};
}

Spent& Spent::operator+=(const Spent& more) {
  workflows += more.workflows;
  generator_calls += more.generator_calls;
  worker_calls += more.worker_calls;
  prompt_tokens += more.prompt_tokens;
  completion_tokens += more.completion_tokens;
  usd += more.usd;
  return *this;
}

Spent spent_by_generator(const TextUsage& usage, int64_t calls) {
  Spent spent;
  spent.generator_calls = calls;
  spent.prompt_tokens = usage.prompt_tokens;
  spent.completion_tokens = usage.completion_tokens;
  spent.usd = usage.usd;
  return spent;
}

Spent spent_by_worker(const Json& usage) {
  Spent spent;
  spent.worker_calls = usage.value("calls", int64_t{0});
  spent.prompt_tokens = usage.value("prompt_tokens", int64_t{0});
  spent.completion_tokens = usage.value("completion_tokens", int64_t{0});
  spent.usd = usage.value("usd", 0.0);
  return spent;
}

Spent spent_from_json(const Json& json) {
  const std::string where = "saved spending";
  Spent spent;
  spent.workflows = get_field<int64_t>(json, "workflows", where);
  spent.generator_calls = get_field<int64_t>(json, "generator_calls", where);
  spent.worker_calls = get_field<int64_t>(json, "worker_calls", where);
  spent.prompt_tokens = get_field<int64_t>(json, "prompt_tokens", where);
  spent.completion_tokens = get_field<int64_t>(json, "completion_tokens", where);
  spent.usd = get_field<double>(json, "usd", where);
  return spent;
}

class Budget::Account : public CallBudget {
 public:
  Account(BudgetOptions options, Spent before) : options_(options), spent_(before) {}

  Grant reserve(const Worker::Bound& bound) override {
    const std::lock_guard lock(mutex_);
    const bool fits =
        is_within(options_.calls, total_calls() + num_under_way_ + 1) &&
        is_within(options_.tokens, total_tokens() + set_aside_.tokens + bound.tokens) &&
        is_within(options_.usd, spent_.usd + unreported_.usd + set_aside_.usd + bound.usd);
    if (!fits && num_under_way_ > 0) return Grant::kLater;
    has_refused_ = has_refused_ || !fits;
    if (!fits) return Grant::kSpent;
    ++num_under_way_;
    set_aside_.tokens += bound.tokens;
    set_aside_.usd += bound.usd;
    return Grant::kTaken;
  }

  void settle(const Worker::Bound& bound, const Worker::Bound& taken) override {
    std::vector<Listener> listeners;
    {
      const std::lock_guard lock(mutex_);
      --num_under_way_;
      set_aside_.tokens -= bound.tokens;
      set_aside_.usd = num_under_way_ > 0 ? set_aside_.usd - bound.usd : 0;
      ++unreported_calls_;
      unreported_.tokens += taken.tokens;
      unreported_.usd += taken.usd;
      std::erase_if(listeners_, [](const Listener& one) { return one.owner.expired(); });
      listeners = listeners_;
    }
    for (const Listener& one : listeners) {
      if (const auto alive = one.owner.lock()) one.settled();
    }
  }

  void listen(std::weak_ptr<void> owner, std::function<void()> settled) override {
    const std::lock_guard lock(mutex_);
    listeners_.push_back({std::move(owner), std::move(settled)});
  }

  int64_t reserve_workflows(int64_t wanted, int64_t calls_each) {
    const std::lock_guard lock(mutex_);
    if (exhausted_locked()) return 0;
    int64_t count = wanted;
    if (options_.workflows > 0) count = std::min(count, options_.workflows - spent_.workflows);
    if (options_.calls > 0) {
      const int64_t left = options_.calls - total_calls();
      count = std::min(count, std::max<int64_t>(1, left / calls_each));
    }
    spent_.workflows += count;
    return count;
  }

  bool exhausted() const {
    const std::lock_guard lock(mutex_);
    return exhausted_locked();
  }

  bool means_spent(const Spent& more) const {
    const std::lock_guard lock(mutex_);
    return means_spent_locked(more);
  }

  void add(const Spent& more) {
    const std::lock_guard lock(mutex_);
    spent_ += more;
    unreported_calls_ = std::max<int64_t>(0, unreported_calls_ - more.calls());
    unreported_.tokens = std::max<int64_t>(0, unreported_.tokens - more.tokens());
    unreported_.usd = unreported_calls_ > 0 ? std::max(0.0, unreported_.usd - more.usd) : 0;
  }

  Spent spent() const {
    const std::lock_guard lock(mutex_);
    return spent_;
  }

  bool has_refused() const {
    const std::lock_guard lock(mutex_);
    return has_refused_;
  }

  bool limits_calls() const {
    return options_.calls > 0 || options_.tokens > 0 || options_.usd > 0;
  }

 private:
  template <class T>
  static bool is_within(T limit, T value) {
    return !(limit > 0) || value <= limit;
  }

  int64_t total_calls() const { return spent_.calls() + unreported_calls_; }
  int64_t total_tokens() const { return spent_.tokens() + unreported_.tokens; }

  bool exhausted_locked() const {
    return (options_.workflows > 0 && spent_.workflows >= options_.workflows) ||
           means_spent_locked({});
  }

  bool means_spent_locked(const Spent& more) const {
    return (options_.calls > 0 && total_calls() + more.calls() >= options_.calls) ||
           (options_.tokens > 0 && total_tokens() + more.tokens() >= options_.tokens) ||
           (options_.usd > 0 && spent_.usd + unreported_.usd + more.usd >= options_.usd);
  }

  struct Listener {
    std::weak_ptr<void> owner;
    std::function<void()> settled;
  };

  const BudgetOptions options_;
  mutable std::mutex mutex_;
  std::vector<Listener> listeners_;
  Spent spent_;
  // Of calls that have ended, until add() tells of what they were made for.
  int64_t unreported_calls_ = 0;
  Worker::Bound unreported_;
  int64_t num_under_way_ = 0;
  Worker::Bound set_aside_;
  bool has_refused_ = false;
};

Budget::Budget(BudgetOptions options, Spent before)
    : account_(std::make_shared<Account>(options, before)) {}

int64_t Budget::reserve_workflows(int64_t wanted, int64_t calls_each) {
  return account_->reserve_workflows(wanted, calls_each);
}

bool Budget::exhausted() const { return account_->exhausted(); }

bool Budget::means_spent(const Spent& more) const { return account_->means_spent(more); }

void Budget::add(const Spent& more) { account_->add(more); }

Spent Budget::spent() const { return account_->spent(); }

bool Budget::has_refused() const { return account_->has_refused(); }

std::shared_ptr<CallBudget> Budget::calls() const {
  return account_->limits_calls() ? account_ : nullptr;
}

}  // namespace weft
