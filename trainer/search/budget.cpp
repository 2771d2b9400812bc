#include "trainer/search/budget.h"

#include <algorithm>

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

bool Budget::exhausted_locked() const {
  return (options_.workflows > 0 && spent_.workflows >= options_.workflows) || means_spent_locked();
}

bool Budget::means_spent_locked(const Spent& more) const {
  return (options_.calls > 0 && spent_.calls() + more.calls() >= options_.calls) ||
         (options_.tokens > 0 && spent_.tokens() + more.tokens() >= options_.tokens) ||
         (options_.usd > 0 && spent_.usd + more.usd >= options_.usd);
}

int64_t Budget::reserve_workflows(int64_t wanted, int64_t calls_each) {
  const std::lock_guard lock(mutex_);
  if (exhausted_locked()) return 0;
  int64_t count = wanted;
  if (options_.workflows > 0) count = std::min(count, options_.workflows - spent_.workflows);
  if (options_.calls > 0) {
    count = std::min(count, std::max<int64_t>(1, (options_.calls - spent_.calls()) / calls_each));
  }
  spent_.workflows += count;
  return count;
}

bool Budget::exhausted() const {
  const std::lock_guard lock(mutex_);
  return exhausted_locked();
}

bool Budget::means_spent(const Spent& more) const {
  const std::lock_guard lock(mutex_);
  return means_spent_locked(more);
}

void Budget::add(const Spent& more) {
  const std::lock_guard lock(mutex_);
  spent_ += more;
}

Spent Budget::spent() const {
  const std::lock_guard lock(mutex_);
  return spent_;
}

}  // namespace weft
