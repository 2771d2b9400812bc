/// A scheduler with a model that is nothing but arithmetic. Its cache holds token ids in place of
/// keys and values, and what it draws depends on every token that the blocks of a text hold: a
/// block that is shared, copied or reused wrongly changes the ids.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <numeric>
#include <set>
#include <string>
#include <vector>

#include "base/hash.h"
#include "base/rng.h"
#include "model/engine/scheduler.h"

namespace weft::test {

constexpr int32_t kVocabulary = 500;
constexpr int32_t kEos = 7;

inline SchedulerOptions scheduler_options(int64_t num_blocks = 64) {
  SchedulerOptions options;
  options.max_batch = 8;
  options.prefill_tokens = 64;
  options.max_context = 512;
  options.num_blocks = num_blocks;
  options.kept_blocks = num_blocks / 4;
  return options;
}

inline SamplingParams sampling(int max_tokens, uint64_t seed = 1) {
  SamplingParams params;
  params.max_tokens = max_tokens;
  params.seed = seed;
  params.ignore_eos = true;
  return params;
}

inline std::vector<int32_t> prompt_of(int64_t num_tokens, uint64_t seed = 1) {
  Rng rng(seed);
  std::vector<int32_t> ids(static_cast<size_t>(num_tokens));
  for (int32_t& id : ids) id = static_cast<int32_t>(rng.below(kVocabulary));
  return ids;
}

inline std::shared_ptr<const Lora> fake_adapter() {
  const auto owner = std::make_shared<char>();
  return {owner, reinterpret_cast<const Lora*>(owner.get())};
}

/// What the model draws after a text.
inline kernels::SampleResult draw_after(const std::vector<int32_t>& text, const Lora* lora,
                                        double uniform) {
  const uint64_t state = hash64({reinterpret_cast<const char*>(text.data()), text.size() * 4});
  const double u = philox_uniform(state, lora != nullptr, 0) + uniform;
  return {static_cast<int64_t>((u - std::floor(u)) * kVocabulary), static_cast<float>(-u), 0};
}

/// The ids of a choice, computed without a scheduler.
inline std::vector<int32_t> expected_ids(std::vector<int32_t> text, const SamplingParams& sampling,
                                         int choice, int64_t max_context,
                                         const Lora* lora = nullptr) {
  std::vector<int32_t> ids;
  while (std::ssize(ids) < sampling.max_tokens && std::ssize(text) < max_context) {
    const double uniform = philox_uniform(sampling.seed, choice, ids.size());
    ids.push_back(static_cast<int32_t>(draw_after(text, lora, uniform).id));
    text.push_back(ids.back());
    if (ids.back() == kEos && !sampling.ignore_eos) break;
  }
  return ids;
}

class FakeEngine {
 public:
  explicit FakeEngine(const SchedulerOptions& options = scheduler_options())
      : scheduler(options, nullptr, {kEos}),
        options_(options),
        cache_(options.num_blocks * kernels::kBlockTokens, -1) {}

  /// Queues a request; its number.
  int64_t submit(std::vector<int32_t> prompt, int max_tokens = 8, int n = 1, uint64_t seed = 1) {
    return submit(request_of(std::move(prompt), max_tokens, n, seed));
  }
  int64_t submit(std::unique_ptr<EngineRequest> request) {
    const auto slot = std::make_shared<int64_t>();
    request->done = [this, slot](TextResponse r) {
      EXPECT_TRUE(responses.emplace(*slot, std::move(r)).second) << "answered twice";
    };
    return *slot = scheduler.add(std::move(request));
  }
  static std::unique_ptr<EngineRequest> request_of(std::vector<int32_t> prompt, int max_tokens = 8,
                                                   int n = 1, uint64_t seed = 1) {
    auto request = std::make_unique<EngineRequest>();
    request->prompt = std::move(prompt);
    request->request.n = n;
    request->request.sampling.max_tokens = max_tokens;
    request->request.sampling.seed = seed;
    request->request.sampling.ignore_eos = true;
    return request;
  }

  /// Plans, computes and applies one pass; the plan.
  PassPlan pass() {
    const PassPlan plan = scheduler.plan(costs);
    scheduler.apply(plan, compute(plan));
    scheduler.answer();
    return plan;
  }
  /// The same as on a device that is given up to `most` passes more, each before the draws of the
  /// one before it are known; `between` is called in between. How many it was given.
  int passes_ahead(
      int most, const std::function<void()>& between = [] {}) {
    PassPlan plan = scheduler.plan(costs);
    PassResult result = compute(plan);
    for (int ahead = 0;; ++ahead) {
      auto next = ahead < most ? scheduler.plan_ahead(plan, costs) : std::nullopt;
      PassResult next_result;
      if (next) {
        for (PlannedSpan& span : next->spans) {
          const int64_t id = result.samples.at(span.of_draw).id;
          span.ids = {static_cast<int32_t>(std::max<int64_t>(id, 0))};
        }
        next_result = compute(*next);
      }
      scheduler.apply(plan, result);
      scheduler.check();
      scheduler.answer();
      if (!next) return ahead;
      between();
      plan = std::move(*next);
      result = std::move(next_result);
    }
  }
  void run() {
    for (int passes = 0; scheduler.has_work(); ++passes) {
      ASSERT_LT(passes, 100000) << "some request does not end";
      pass();
    }
  }

  /// Computes a plan, and checks what every plan keeps to.
  PassResult compute(const PassPlan& plan);

  const std::vector<int32_t>& ids(int64_t request, size_t choice = 0) {
    const TextResponse& response = responses.at(request);
    EXPECT_EQ(response.status, ResponseStatus::kOk) << response.error;
    return response.choices.at(choice).ids;
  }
  void expect_empty() {
    EXPECT_FALSE(scheduler.has_work());
    EXPECT_EQ(scheduler.pool().num_used(), 0);
    EXPECT_EQ(scheduler.stats().running, 0);
    EXPECT_EQ(scheduler.stats().queued, 0);
  }

  Scheduler scheduler;
  std::map<int64_t, TextResponse> responses;
  const Lora* broken = nullptr;  ///< an adapter whose logits are not finite
  /// A reading of the weights takes as long as 16 tokens, and attention nothing.
  PassCosts costs{PassCosts::Shape{}};

 private:
  int32_t& slot(const PlannedSpan& span, int64_t t) {
    const int64_t block = span.blocks.at(t / kernels::kBlockTokens);
    return cache_.at(block * kernels::kBlockTokens + t % kernels::kBlockTokens);
  }
  void check(const PassPlan& plan) const;

  const SchedulerOptions options_;
  std::vector<int32_t> cache_;  // a token id for each slot
};

inline void FakeEngine::check(const PassPlan& plan) const {
  std::set<int32_t> written;
  std::set<const Lora*> adapters;
  int64_t wanted = 0, tokens = 0;
  for (size_t i = 0; i < plan.spans.size(); ++i) {
    const PlannedSpan& span = plan.spans[i];
    const int64_t end = span.start + std::ssize(span.ids);
    ASSERT_GT(end, span.start);
    ASSERT_GE(std::ssize(span.blocks), blocks_for(end));
    for (int64_t b = span.start / kernels::kBlockTokens; b < blocks_for(end); ++b) {
      EXPECT_EQ(scheduler.pool().references(span.blocks[b]), 1) << "writes what others hold";
      EXPECT_TRUE(written.insert(span.blocks[b]).second) << "two spans write one block";
    }
    const bool is_new = adapters.insert(span.lora).second;
    EXPECT_TRUE(is_new || plan.spans[i - 1].lora == span.lora) << "an adapter's spans lie apart";
    wanted += span.wants_logits;
    tokens += std::ssize(span.ids);
  }
  EXPECT_EQ(plan.decoded + plan.prefilled, tokens);
  EXPECT_LE(plan.decoded, options_.max_batch);
  EXPECT_LE(plan.prefilled, options_.prefill_tokens);
  EXPECT_LE(std::ssize(plan.draws), most_draws(options_.max_batch));
  for (const PlannedDraw& draw : plan.draws) EXPECT_LT(draw.row, wanted);
}

inline PassResult FakeEngine::compute(const PassPlan& plan) {
  check(plan);
  const auto block = [&](int32_t b) { return cache_.begin() + b * kernels::kBlockTokens; };
  for (const BlockEdit& edit : plan.edits) {
    if (edit.from == kZeros) {
      std::fill_n(block(edit.block), kernels::kBlockTokens, 0);
    } else {
      std::copy_n(block(edit.from), kernels::kBlockTokens, block(edit.block));
    }
  }
  for (const PlannedSpan& span : plan.spans) {
    for (size_t i = 0; i < span.ids.size(); ++i) {
      slot(span, span.start + static_cast<int64_t>(i)) = span.ids[i];
    }
  }
  std::vector<std::pair<std::vector<int32_t>, const Lora*>> rows;
  for (const PlannedSpan& span : plan.spans) {
    if (!span.wants_logits) continue;
    auto& [text, lora] = rows.emplace_back(std::vector<int32_t>(), span.lora);
    for (int64_t t = 0; t < span.start + std::ssize(span.ids); ++t) text.push_back(slot(span, t));
  }
  PassResult result;
  result.seconds = costs.seconds(plan.work);
  for (const PlannedDraw& draw : plan.draws) {
    const auto& [text, lora] = rows.at(draw.row);
    result.samples.push_back(lora && lora == broken ? kernels::SampleResult()
                                                    : draw_after(text, lora, draw.args.uniform));
  }
  return result;
}

}  // namespace weft::test
