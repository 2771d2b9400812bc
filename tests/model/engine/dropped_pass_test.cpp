// A pass on the CPU that is dropped between two layers.
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include <future>

#include "model/checkpoint/hf_model.h"
#include "model/engine/engine_core.h"
#include "model/engine/engine_request.h"
#include "tests/model/engine/engine_support.h"

namespace weft {
namespace {

using namespace test;

constexpr int64_t kContext = 256;

/// The engine without its thread.
class Core {
 public:
  Core() : core_(*model_, nullptr, options(), kContext, {}) {}

  EngineCore& operator*() { return core_; }
  EngineCore* operator->() { return &core_; }

  /// Adds a request; its answer comes with a later run().
  std::future<TextResponse> add(const TextRequest& request) {
    auto promise = std::make_shared<std::promise<TextResponse>>();
    auto queued = std::make_unique<EngineRequest>();
    queued->request = request;
    queued->prompt = std::get<std::vector<int32_t>>(request.prompt);
    queued->done = [promise](TextResponse r) { promise->set_value(std::move(r)); };
    core_.scheduler().add(std::move(queued));
    return promise->get_future();
  }

  void run() {
    const at::NoGradGuard no_grad;
    while (core_.scheduler().has_work()) {
      core_.plan();
      core_.compute([] { return true; }, [] {});
      core_.scheduler().check();
      core_.scheduler().answer();
    }
  }

 private:
  /// What is computed with what does not depend on the clock.
  static EngineOptions options() {
    EngineOptions options = small_options();
    options.mixed_tokens = options.prefill_tokens;
    return options;
  }

  std::unique_ptr<Transformer> model_ =
      load_transformer(fixture("tiny_llama").string(), at::kFloat);
  EngineCore core_;
};

// Whatever of a pass was computed, nobody reads it.
TEST(DroppedPass, EndsEveryRequestAndLeavesTheEngineAsItWas) {
  const TextRequest first = request_of(random_ids(70, 1), 6),
                    second = request_of(random_ids(40, 2), 6);
  Core untouched;
  auto expected = untouched.add(first), also_expected = untouched.add(second);
  int64_t looks = 0;
  untouched->runner().set_stop_check([&] { ++looks; });
  untouched.run();
  ASSERT_GT(looks, 7);
  const auto ids_of = [](std::future<TextResponse>& answer) {
    return answer.get().choices.at(0).ids;
  };
  const auto first_ids = ids_of(expected), second_ids = ids_of(also_expected);
  for (int64_t at = 1; at <= looks; ++at) {
    SCOPED_TRACE(at);
    Core core;
    int64_t looked = 0;
    core->runner().set_stop_check([&] {
      if (++looked == at) throw PassDropped();
    });
    auto a = core.add(first), b = core.add(second);
    core.run();
    bool cancelled = false;
    for (auto* answer : {&a, &b}) {
      const TextResponse response = answer->get();
      cancelled |= response.status == ResponseStatus::kCancelled;
      if (response.status != ResponseStatus::kOk) {
        EXPECT_EQ(response.status, ResponseStatus::kCancelled) << response.error;
      }
    }
    EXPECT_TRUE(cancelled);
    EXPECT_EQ(core->scheduler().stats().kv_blocks_used, 0);
    auto again = core.add(first), other = core.add(second);
    core.run();
    EXPECT_EQ(ids_of(again), first_ids);
    EXPECT_EQ(ids_of(other), second_ids);
  }
}

// One that is still wanted keeps the pass for all.
TEST(DroppedPass, WaitsUntilNobodyWantsThePass) {
  Core core;
  TextRequest cancelled = request_of(random_ids(20, 3), 4),
              wanted = request_of(random_ids(20, 4), 4);
  cancelled.cancelled = std::make_shared<std::atomic<bool>>(false);
  wanted.cancelled = std::make_shared<std::atomic<bool>>(false);
  auto a = core.add(cancelled), b = core.add(wanted);
  EXPECT_FALSE(core->scheduler().all_cancelled());
  cancelled.cancelled->store(true);
  EXPECT_FALSE(core->scheduler().all_cancelled());
  wanted.cancelled->store(true);
  EXPECT_TRUE(core->scheduler().all_cancelled());
  wanted.cancelled->store(false);
  core.run();
  EXPECT_EQ(a.get().status, ResponseStatus::kCancelled);
  EXPECT_EQ(b.get().status, ResponseStatus::kOk);
}

TEST(DroppedPass, IsDroppedInTheMiddleOnceItsRequestIsCancelled) {
  Core core;
  TextRequest request = request_of(random_ids(20, 5), 4);
  request.cancelled = std::make_shared<std::atomic<bool>>(false);
  int64_t looks = 0;
  core->runner().set_stop_check([&] {
    if (++looks == 2) request.cancelled->store(true);
    if (core->scheduler().all_cancelled()) throw PassDropped();
  });
  auto answer = core.add(request);
  core.run();
  EXPECT_EQ(answer.get().status, ResponseStatus::kCancelled);
  EXPECT_EQ(looks, 2);
}

}  // namespace
}  // namespace weft
