#include "trainer/search/budgeted_model.h"

#include <deque>
#include <mutex>
#include <utility>
#include <vector>

namespace weft {
namespace {

Worker::Bound bound_of(const TextRequest& request, const TextPrice& price) {
  constexpr int64_t kTemplateTokens = 256;
  int64_t prompt = kTemplateTokens;
  if (const auto* ids = std::get_if<std::vector<int32_t>>(&request.prompt)) {
    prompt += static_cast<int64_t>(ids->size());
  } else if (const auto* text = std::get_if<std::string>(&request.prompt)) {
    prompt += static_cast<int64_t>(text->size());
  } else {
    for (const ChatMessage& message : std::get<std::vector<ChatMessage>>(request.prompt)) {
      prompt += static_cast<int64_t>(message.content.size());
    }
  }
  const int64_t completion = int64_t{request.n} * request.sampling.max_tokens;
  return {prompt + completion, price.of(prompt, completion)};
}

}  // namespace

/// Requests that wait, in their order; held by those under way too.
struct BudgetedModel::Queue : std::enable_shared_from_this<Queue> {
  struct Entry {
    TextRequest request;
    std::function<void(TextResponse)> done;
    Worker::Bound bound;
  };
  TextModel& model;
  const std::shared_ptr<CallBudget> budget;
  std::mutex mutex;
  std::deque<Entry> waiting;

  Queue(TextModel& asked, std::shared_ptr<CallBudget> shared)
      : model(asked), budget(std::move(shared)) {}
  ~Queue() {
    for (const Entry& entry : waiting) {
      entry.done(TextResponse::unanswered(ResponseStatus::kCancelled, "the model is closed"));
    }
  }
  Queue(const Queue&) = delete;
  Queue& operator=(const Queue&) = delete;

  void put(Entry entry) {
    {
      const std::lock_guard lock(mutex);
      waiting.push_back(std::move(entry));
    }
    hand_on();
  }

  /// Asks the model for what there is room for.
  void hand_on() {
    for (;;) {
      std::unique_lock lock(mutex);
      if (waiting.empty()) return;
      const auto grant = budget->reserve(waiting.front().bound);
      if (grant == CallBudget::Grant::kLater) return;
      Entry entry = std::move(waiting.front());
      waiting.pop_front();
      lock.unlock();
      if (grant == CallBudget::Grant::kSpent) {
        entry.done(TextResponse::unanswered(ResponseStatus::kOutOfBudget,
                                            "the budget leaves no room for a request"));
      } else {
        ask(std::move(entry));
      }
    }
  }

  void ask(Entry entry) {
    model.submit(std::move(entry.request), [self = shared_from_this(), bound = entry.bound,
                                            done = std::move(entry.done)](TextResponse response) {
      const TextUsage& usage = response.usage;
      self->budget->settle(bound, {usage.prompt_tokens + usage.completion_tokens, usage.usd});
      done(std::move(response));
    });
  }
};

BudgetedModel::BudgetedModel(TextModel& model, std::shared_ptr<CallBudget> budget)
    : model_(model), queue_(std::make_shared<Queue>(model, std::move(budget))) {
  queue_->budget->listen(queue_, [queue = queue_.get()] { queue->hand_on(); });
}

void BudgetedModel::submit(TextRequest request, std::function<void(TextResponse)> done) {
  const Worker::Bound bound = bound_of(request, model_.price());
  queue_->put({std::move(request), std::move(done), bound});
}

}  // namespace weft
