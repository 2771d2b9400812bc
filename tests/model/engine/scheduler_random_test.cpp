// Random requests of every kind in a cache that is often too small: whatever happens to them, each
// is answered once with the ids that its text alone gives, and every block comes back.
#include <gtest/gtest.h>

#include "tests/model/engine/scheduler_support.h"

namespace weft {
namespace {

using namespace test;

struct Case {
  std::vector<int32_t> prompt;
  SamplingParams sampling;
  int n;
  std::shared_ptr<const Lora> lora;
  CancelFlag cancelled;
};

class RandomRequests {
 public:
  explicit RandomRequests(uint64_t seed) : rng_(seed), engine_(options(rng_)) {
    engine_.broken = adapters_[1].get();
  }

  void run() {
    for (int passes = 0; to_submit_ > 0 || engine_.scheduler.has_work(); ++passes) {
      ASSERT_LT(passes, 100000) << "some request does not end";
      while (to_submit_ > 0 && (!engine_.scheduler.has_work() || rng_.below(4) == 0)) submit();
      cancel_one_of(20);
      if (rng_.below(10) == 0) let_go_of_one();
      if (!engine_.scheduler.has_work()) continue;
      ahead_ += engine_.passes_ahead(static_cast<int>(rng_.below(2) * rng_.below(20)),
                                     [&] { cancel_one_of(60); });
      engine_.scheduler.check();
    }
    while (!held_.empty()) let_go_of_one();
    engine_.scheduler.check();
    engine_.expect_empty();
    for (const auto& [id, c] : cases_) expect_answer(id, c);
  }

  /// Passes that were planned before the one before them was known.
  int ahead() const { return ahead_; }

 private:
  void cancel_one_of(uint64_t times) {
    if (rng_.below(times) != 0 || cases_.empty()) return;
    auto entry = cases_.begin();
    std::advance(entry, rng_.below(cases_.size()));
    entry->second.cancelled->store(true);
  }

  static SchedulerOptions options(Rng& rng) {
    SchedulerOptions options = scheduler_options(14 + static_cast<int64_t>(rng.below(40)));
    options.max_batch = 1 + static_cast<int64_t>(rng.below(9));
    options.prefill_tokens = 1 + static_cast<int64_t>(rng.below(80));
    options.max_context = 100;
    options.kept_blocks = static_cast<int64_t>(rng.below(20));
    return options;
  }

  void submit() {
    --to_submit_;
    Case c;
    c.prompt = prompt_of(1 + static_cast<int64_t>(rng_.below(80)), rng_.below(4));  // often alike
    c.sampling.max_tokens = 1 + static_cast<int>(rng_.below(40));
    c.sampling.seed = rng_.below(3);
    c.sampling.ignore_eos = rng_.below(2) == 0;
    c.n = rng_.below(3) == 0 ? 1 + static_cast<int>(rng_.below(30)) : 1;
    if (rng_.below(3) == 0) c.lora = adapters_[rng_.below(6) == 0];
    c.cancelled = std::make_shared<std::atomic<bool>>(false);
    auto request = FakeEngine::request_of(c.prompt);
    request->request.n = c.n;
    request->request.sampling = c.sampling;
    request->request.cancelled = c.cancelled;
    request->lora = c.lora;
    if (c.n == 1 && rng_.below(3) == 0) {
      held_.push_back(std::make_shared<HeldText>());
      request->hold_as = held_.back();
    }
    if (!held_.empty() && rng_.below(2) == 0) {
      begin_with(*request, c, held_[rng_.below(held_.size())]);
    }
    cases_[engine_.submit(std::move(request))] = c;
  }

  // Goes on from a held text with a few more tokens.
  void begin_with(EngineRequest& request, Case& c, const std::shared_ptr<HeldText>& held) {
    if (held->text.empty() || held->text.size() > 80) return;
    c.prompt = held->text;
    for (uint64_t more = 1 + rng_.below(9); more > 0; --more) {
      c.prompt.push_back(static_cast<int32_t>(rng_.below(kVocabulary)));
    }
    c.lora = rng_.below(4) == 0 ? nullptr : held->lora;
    request.prompt = c.prompt;
    request.lora = c.lora;
    request.begins_with = held;
  }

  void let_go_of_one() {
    if (held_.empty()) return;
    const auto text = held_.begin() + static_cast<std::ptrdiff_t>(rng_.below(held_.size()));
    // The scheduler must not hold a text that is gone: one that a request is to fill stays.
    if (text->use_count() > 1) return;
    engine_.scheduler.let_go(**text);
    held_.erase(text);
  }

  void expect_answer(int64_t id, const Case& c) {
    const TextResponse& response = engine_.responses.at(id);
    if (response.status == ResponseStatus::kCancelled) {
      EXPECT_TRUE(c.cancelled->load());
      return;
    }
    if (c.lora == adapters_[1]) {
      EXPECT_EQ(response.status, ResponseStatus::kFailed);
      return;
    }
    ASSERT_EQ(response.status, ResponseStatus::kOk) << response.error;
    for (int choice = 0; choice < c.n; ++choice) {
      ASSERT_EQ(response.choices[choice].ids,
                expected_ids(c.prompt, c.sampling, choice, 100, c.lora.get()));
    }
  }

  Rng rng_;
  FakeEngine engine_;
  int to_submit_ = 60, ahead_ = 0;
  const std::shared_ptr<const Lora> adapters_[2] = {fake_adapter(), fake_adapter()};
  std::vector<std::shared_ptr<HeldText>> held_;
  std::map<int64_t, Case> cases_;
};

TEST(SchedulerRandom, LosesNoBlockAndChangesNoId) {
  int ahead = 0;
  for (uint64_t seed = 0; seed < 60; ++seed) {
    SCOPED_TRACE(seed);
    RandomRequests requests(seed);
    requests.run();
    if (testing::Test::HasFatalFailure()) return;
    ahead += requests.ahead();
  }
  EXPECT_GT(ahead, 500);
}

}  // namespace
}  // namespace weft
