/// A Worker for tests: answers by a function on a thread of its own after a delay.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>

#include "sandbox/workflow/worker.h"

namespace weft::test {

class ScriptedWorker : public Worker {
 public:
  using Script = std::function<WorkerReply(const WorkerRequest&)>;

  /// A cancelled request is answered at once, with no texts and 1 completion token.
  explicit ScriptedWorker(Script script = {}, int delay_ms = 0)
      : script_(std::move(script)), delay_(delay_ms), thread_([this] { work(); }) {}
  ~ScriptedWorker() override {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }

  /// What every request may take; nothing: no call waits for the budget.
  Bound most;
  Bound bound(const WorkerRequest&) const override { return most; }

  void submit(WorkerRequest request, std::function<void(WorkerReply)> done) override {
    const std::lock_guard lock(mutex_);
    ++num_requests;
    queue_.emplace(Clock::now() + delay_, Item{std::move(request), std::move(done)});
    changed_.notify_all();
  }

  std::atomic<int> num_requests{0};
  std::atomic<int> num_cancelled{0};

 private:
  using Clock = std::chrono::steady_clock;
  struct Item {
    WorkerRequest request;
    std::function<void(WorkerReply)> done;
  };

  static WorkerReply echo(const WorkerRequest& request) {
    WorkerReply reply;
    for (int i = 0; i < request.num_responses; ++i) {
      reply.texts.push_back(request.messages.front() + "#" + std::to_string(i));
    }
    reply.prompt_tokens = 10;
    reply.completion_tokens = 5 * request.num_responses;
    reply.usd = 0.25;
    return reply;
  }

  void work() {
    std::unique_lock lock(mutex_);
    while (!stopping_ || !queue_.empty()) {
      changed_.wait_for(lock, std::chrono::milliseconds(2));
      for (auto at = queue_.begin(); at != queue_.end();) {
        const bool cancelled = at->second.request.cancelled->load();
        if (!cancelled && at->first > Clock::now()) {
          ++at;
          continue;
        }
        Item item = std::move(at->second);
        at = queue_.erase(at);
        WorkerReply reply;
        if (cancelled) {
          ++num_cancelled;
          reply.completion_tokens = 1;
        } else {
          reply = script_ ? script_(item.request) : echo(item.request);
        }
        item.done(std::move(reply));
      }
    }
  }

  Script script_;
  std::chrono::milliseconds delay_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::multimap<Clock::time_point, Item> queue_;
  bool stopping_ = false;
  std::thread thread_;
};

/// A workflow whose `__call__(self, problem, entry_point=None)` has this body (4 spaces an indent).
inline std::string workflow_code(const std::string& body, const std::string& before = "") {
  std::string text =
      before +
      "\nclass Workflow:\n"
      "    def __init__(self, name: str, llm_config: dict, dataset: DatasetType) -> None:\n"
      "        self.dataset = dataset\n"
      "        self.llm = create_llm_instance(llm_config)\n"
      "    async def __call__(self, problem: str, entry_point: str = '') -> Tuple[str, float]:\n";
  size_t start = 0;
  while (start < body.size()) {
    const size_t end = std::min(body.find('\n', start), body.size());
    text += "        " + body.substr(start, end - start) + "\n";
    start = end + 1;
  }
  return text;
}

}  // namespace weft::test
