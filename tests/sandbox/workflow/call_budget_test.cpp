// Workflows that share a budget of calls.
#include <gtest/gtest.h>

#include <algorithm>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "sandbox/workflow/workflow_process.h"
#include "tests/sandbox/jail_support.h"
#include "tests/sandbox/workflow/scripted_worker.h"

namespace weft {
namespace {

using Status = WorkflowResult::Status;

/// So many tokens, and nothing but tokens.
class Tokens : public CallBudget {
 public:
  explicit Tokens(int64_t most) : left_(most) {}
  Grant reserve(const Worker::Bound& bound) override {
    const std::lock_guard lock(mutex_);
    if (bound.tokens > left_) return under_way_ > 0 ? Grant::kLater : Grant::kSpent;
    left_ -= bound.tokens;
    ++under_way_;
    return Grant::kTaken;
  }
  void settle(const Worker::Bound& bound, const Worker::Bound& taken) override {
    const std::lock_guard lock(mutex_);
    left_ += bound.tokens - taken.tokens;
    spent += taken.tokens;
    --under_way_;
  }
  void listen(std::weak_ptr<void>, std::function<void()>) override {}  // workflows look again
  int64_t spent = 0;
  bool is_settled() const { return under_way_ == 0; }

 private:
  std::mutex mutex_;
  int64_t left_;
  int under_way_ = 0;
};

// Takes what it is allowed to take, up to 100 tokens.
WorkerReply greedy_reply(const WorkerRequest& request) {
  WorkerReply reply;
  reply.texts = {"x"};
  reply.completion_tokens = std::min<int64_t>(request.max_tokens, 100);
  return reply;
}

/// Ten workflows at once, each of three calls of at most 150 tokens that take 100.
std::vector<WorkflowResult> run_ten(const std::shared_ptr<CallBudget>& budget, Worker& worker) {
  WorkflowHost host(test::shared_sandbox(), test::shared_judge(), worker);
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<WorkflowResult> results;
  for (int i = 0; i < 10; ++i) {
    WorkflowJob job;
    job.code = test::workflow_code(
        "for i in range(3):\n    await self.llm.call_llm(messages=[str(i)])\nreturn 'done', 0.0");
    job.problem = "P";
    job.shared_budget = budget;
    host.start(std::move(job), [&](WorkflowResult result) {
      const std::lock_guard lock(mutex);
      results.push_back(std::move(result));
      changed.notify_all();
    });
  }
  std::unique_lock lock(mutex);
  changed.wait(lock, [&] { return results.size() == 10; });
  return results;
}

TEST(CallBudget, IsNeverExceededByTenWorkflowsAtOnceAndCutsOffWithoutBlame) {
  for (const int64_t most : {120, 1000, 1730, 2900}) {
    test::ScriptedWorker worker(greedy_reply, 5);
    worker.most = {150, 0};
    const auto budget = std::make_shared<Tokens>(most);
    int64_t used = 0;
    int answered = 0, calls = 0;
    for (const WorkflowResult& result : run_ten(budget, worker)) {
      used += result.usage.completion_tokens;
      calls += result.usage.calls;
      answered += result.status == Status::kAnswered;
      if (result.status == Status::kAnswered) continue;
      EXPECT_EQ(result.status, Status::kInfrastructure) << result.error;
      EXPECT_TRUE(result.out_of_budget);
      EXPECT_EQ(result.error, "the shared budget is spent");
    }
    EXPECT_LE(used, most);
    EXPECT_GT(used, most - 150);  // what is left has no room for a call
    EXPECT_EQ(used, budget->spent);
    EXPECT_EQ(calls, worker.num_requests);
    EXPECT_TRUE(budget->is_settled());
    EXPECT_LT(answered, 10);
  }
}

TEST(CallBudget, ThatIsWideEnoughChangesNothing) {
  test::ScriptedWorker worker(greedy_reply, 5);
  worker.most = {150, 0};
  for (const WorkflowResult& result : run_ten(std::make_shared<Tokens>(3150), worker)) {
    EXPECT_EQ(result.status, Status::kAnswered) << result.error;
    EXPECT_FALSE(result.out_of_budget);
    EXPECT_EQ(result.usage.completion_tokens, 300);
  }
}

}  // namespace
}  // namespace weft
