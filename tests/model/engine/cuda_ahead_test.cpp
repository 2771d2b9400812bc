// Passes that are begun before the one before them is over; built twice, as cuda_runner_test.cpp.
#include <gtest/gtest.h>

#include <atomic>
#include <future>

#include "tests/model/engine/cuda_engines.h"

namespace weft {
namespace {

using namespace test::cuda_engines;

class PassesAhead : public OnGpu {
 protected:
  static std::unique_ptr<Engine> engine(bool ahead, bool invariant = false,
                                        int64_t max_batch = 12) {
    EngineOptions options = small_options();
    options.plan_ahead = ahead;
    options.invariant = invariant;
    options.max_batch = max_batch;
    return Engine::from_directory(test::fixture("tiny_llama").string(), "f32", options,
                                  gpu().device);
  }

  // Some end by their length, some by a stop string, some where the model says so.
  static std::vector<TextRequest> requests() {
    auto all = mixed_requests();
    for (size_t i = 0; i < all.size(); ++i) {
      all[i].sampling.max_tokens = static_cast<int>(5 + 9 * i);
      all[i].sampling.ignore_eos = i % 2 == 0;
    }
    all[2].sampling.stop = {"e", "a"};
    all[4].sampling.stop = {"zzzz"};
    return all;
  }
};

void expect_equal(const std::vector<TextResponse>& a, const std::vector<TextResponse>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t r = 0; r < a.size(); ++r) {
    ASSERT_EQ(a[r].status, ResponseStatus::kOk) << a[r].error;
    ASSERT_EQ(a[r].choices.size(), b[r].choices.size());
    for (size_t i = 0; i < a[r].choices.size(); ++i) {
      EXPECT_EQ(a[r].choices[i].ids, b[r].choices[i].ids);
      EXPECT_EQ(a[r].choices[i].text, b[r].choices[i].text);
      EXPECT_EQ(a[r].choices[i].finish, b[r].choices[i].finish);
      EXPECT_EQ(a[r].choices[i].logprobs, b[r].choices[i].logprobs);
    }
  }
}

// To the bit where bits do not depend on what shares a pass: one that was planned ahead may have
// more rows. More choices than slots, so that some begin as others end.
TEST_F(PassesAhead, ChangeNoCompletion) {
  const auto with = engine(true, true, 4), without = engine(false, true, 4);
  expect_equal(with->complete_all(requests()), without->complete_all(requests()));
  EXPECT_GT(with->stats().passes_ahead, 10);
  EXPECT_EQ(without->stats().passes_ahead, 0);
  EXPECT_EQ(with->stats().decoded_tokens, without->stats().decoded_tokens);
}

TEST_F(PassesAhead, TakeTheIdsThatTheCpuDraws) {
  std::vector<TextRequest> all;
  for (uint64_t i = 0; i < 7; ++i) {
    all.push_back(request_of(random_ids(5 + 4 * i, i), i));
    all.back().sampling.max_tokens = static_cast<int>(3 + 5 * i);
  }
  const auto mine = gpu_engine(tiny("tiny_qwen2"));
  expect_same(mine->complete_all(all), cpu_engine(tiny("tiny_qwen2"))->complete_all(all));
  EXPECT_GT(mine->stats().passes_ahead, 10);
}

// One is cancelled, others come, while passes are ahead.
TEST_F(PassesAhead, CancellationAndNewcomersDisturbNobody) {
  const auto mine = engine(true), theirs = engine(false);
  TextRequest forever = request_of(random_ids(9, 1), 1);
  forever.sampling.max_tokens = 80;
  forever.cancelled = std::make_shared<std::atomic<bool>>(false);
  std::promise<TextResponse> answer;
  mine->submit(forever, [&](TextResponse r) { answer.set_value(std::move(r)); });
  ASSERT_TRUE(test::wait_until([&] { return mine->stats().passes_ahead > 3; }));
  std::vector<std::future<TextResponse>> answers;
  const auto all = requests();
  for (const TextRequest& request : all) {
    auto promise = std::make_shared<std::promise<TextResponse>>();
    answers.push_back(promise->get_future());
    mine->submit(request, [promise](TextResponse r) { promise->set_value(std::move(r)); });
  }
  forever.cancelled->store(true);
  std::vector<TextResponse> got;
  for (auto& each : answers) got.push_back(each.get());
  EXPECT_NE(answer.get_future().get().status, ResponseStatus::kFailed);
  expect_same(got, theirs->complete_all(all));
  mine->wait_idle();
  EXPECT_EQ(mine->stats().kv_blocks_used, 0);
}

}  // namespace
}  // namespace weft
