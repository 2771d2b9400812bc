#include "trainer/search/budget.h"

#include "base/error.h"

namespace weft {

void BudgetOptions::validate() const {
  if (workflows < 0 || calls < 0 || tokens < 0 || usd < 0) {
    throw InputError("budget: expected numbers >= 0 (0: no limit)");
  }
}

Json Spent::to_json() const {
  return {{"workflows", workflows},
          {"generator_calls", generator_calls},
          {"worker_calls", worker_calls},
          {"prompt_tokens", prompt_tokens},
          {"completion_tokens", completion_tokens},
          {"usd", usd}};
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
  return (options_.workflows > 0 && spent_.workflows >= options_.workflows) ||
         (options_.calls > 0 && spent_.calls() >= options_.calls) ||
         (options_.tokens > 0 && spent_.tokens() >= options_.tokens) ||
         (options_.usd > 0 && spent_.usd >= options_.usd);
}

bool Budget::reserve_workflow() {
  const std::lock_guard lock(mutex_);
  if (exhausted_locked()) return false;
  ++spent_.workflows;
  return true;
}

bool Budget::exhausted() const {
  const std::lock_guard lock(mutex_);
  return exhausted_locked();
}

void Budget::add(const Spent& more) {
  const std::lock_guard lock(mutex_);
  spent_.workflows += more.workflows;
  spent_.generator_calls += more.generator_calls;
  spent_.worker_calls += more.worker_calls;
  spent_.prompt_tokens += more.prompt_tokens;
  spent_.completion_tokens += more.completion_tokens;
  spent_.usd += more.usd;
}

Spent Budget::spent() const {
  const std::lock_guard lock(mutex_);
  return spent_;
}

}  // namespace weft
