// What of the scheduler's data other threads touch: requests before they are added, their flags,
// and what their callbacks are given.
#include <gtest/gtest.h>

#include <latch>
#include <mutex>
#include <thread>

#include "tests/model/engine/scheduler_support.h"

namespace weft {
namespace {

using namespace test;

TEST(SchedulerThreads, OthersSubmitCancelAndReadAnswers) {
  constexpr int kRequests = 40;
  std::mutex mutex;
  std::vector<std::unique_ptr<EngineRequest>> incoming;
  bool closed = false;
  std::thread thread([&] {
    FakeEngine engine;
    std::vector<std::unique_ptr<EngineRequest>> arrived;
    for (bool last = false; !last || engine.scheduler.has_work();) {
      {
        const std::lock_guard lock(mutex);
        arrived = std::exchange(incoming, {});
        last = closed;
      }
      for (auto& request : arrived) engine.scheduler.add(std::move(request));
      if (engine.scheduler.has_work()) engine.pass();
    }
    engine.expect_empty();
  });
  std::vector<TextResponse> answers(kRequests);
  std::latch pending(kRequests);
  for (int i = 0; i < kRequests; ++i) {
    auto request = FakeEngine::request_of(prompt_of(1 + 7 * i, i), 20, 1 + i % 3, i);
    const CancelFlag flag = std::make_shared<std::atomic<bool>>(false);
    request->request.cancelled = flag;
    request->done = [&, i](TextResponse response) {
      answers[i] = std::move(response);
      pending.count_down();
    };
    {
      const std::lock_guard lock(mutex);
      incoming.push_back(std::move(request));
    }
    if (i % 4 == 0) flag->store(true);
  }
  pending.wait();
  {
    const std::lock_guard lock(mutex);
    closed = true;
  }
  thread.join();
  for (int i = 0; i < kRequests; ++i) {
    const bool may_be_cancelled = i % 4 == 0;
    if (may_be_cancelled && answers[i].status == ResponseStatus::kCancelled) continue;
    ASSERT_EQ(answers[i].status, ResponseStatus::kOk);
    SamplingParams sampling;
    sampling.max_tokens = 20;
    sampling.seed = i;
    sampling.ignore_eos = true;
    EXPECT_EQ(answers[i].choices[0].ids, expected_ids(prompt_of(1 + 7 * i, i), sampling, 0, 512));
  }
}

}  // namespace
}  // namespace weft
