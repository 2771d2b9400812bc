#include "trainer/learn/grpo/policy_update.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/error.h"
#include "trainer/learn/grpo/device/sample_loss.h"
#include "trainer/learn/grpo/policy_samples.h"

namespace weft {
namespace {

/// Once a batch has changed the weights, it is finished.
StopCheck stop_before(bool first) { return first ? StopCheck(throw_if_stopped) : StopCheck(); }

/// Masks those of `samples` whose own gradient is not finite in `part`, which holds them; false
/// where there is none.
bool mask_bad(Learner& learner, const std::vector<Sample>& samples, const StopCheck& stop,
              const PolicyLossOptions& options, std::vector<Sample>& part,
              std::vector<BadEpisode>& bad) {
  require_finite_weights(learner);
  std::vector<Sample> alone(1);
  SampleLoss loss(alone, options, /*compares=*/false);
  const auto found = learner.find_non_finite(
      sequences_of(samples),
      [&](size_t i) {
        alone[0] = samples[i];
        return loss.by_microbatch();
      },
      stop);
  for (const size_t i : found) {
    for (Sample& s : part) {
      if (s.index == samples[i].index) s.spoil("its gradient is not finite", bad);
    }
  }
  return !found.empty();
}

/// What of a part has a gradient, ready for an update.
std::vector<Sample> prepare(Learner& learner, const std::vector<Sample>& part, bool first,
                            const PolicyLossOptions& options) {
  std::vector<Sample> samples = weighed(part, options);
  if (options.ratio == RatioLevel::kSequence && !samples.empty()) {
    set_sequence_ratios(learner, samples, /*unchanged=*/first, stop_before(first));
  }
  return samples;
}

/// One update by a part; masks in it what turns out to be bad.
void run_update(Learner& learner, std::vector<Sample>& part, double lr,
                const PolicyLossOptions& options, PolicyUpdateResult& result) {
  const bool first = result.num_updates == 0;
  std::vector<Sample> samples = prepare(learner, part, first, options);
  if (samples.empty()) {
    ++result.skipped_updates;
    return;
  }
  PolicyTotals::Values totals;
  UpdateResult update;
  const auto attempt = [&] {
    learner.fit([&] {
      SampleLoss loss(samples, options, /*compares=*/first);
      update = learner.update(sequences_of(samples), loss.by_microbatch(), lr, stop_before(first));
      totals = loss.totals();
    });
  };
  attempt();
  if (!update.applied) {
    if (result.non_finite.empty()) result.non_finite = update.non_finite;
    const bool found = mask_bad(learner, samples, stop_before(first), options, part, result.bad);
    if (found) samples = prepare(learner, part, first, options);
    if (found && !samples.empty()) attempt();
  }
  if (first) result.mismatch = totals.mismatch;
  result.num_tokens += update.num_tokens;
  if (!update.applied) {
    ++result.skipped_updates;
    return;
  }
  ++result.num_updates;
  result.rewarded_updates +=
      std::any_of(samples.begin(), samples.end(), [](const Sample& s) { return s.advantage != 0; })
          ? 1
          : 0;
  result.sums.add(totals.sums);
  result.grad_norm += update.grad_norm;
  result.entropy_sum += update.entropy_sum;
  result.trained_tokens += update.loss_tokens;
}

/// Once a batch has changed the weights it counts, also where memory runs out in a later update.
void try_update(Learner& learner, std::vector<Sample>& part, double lr,
                const PolicyLossOptions& options, PolicyUpdateResult& result) {
  try {
    run_update(learner, part, lr, options, result);
  } catch (const OutOfMemory& error) {
    if (result.num_updates == 0) throw;
    result.out_of_memory = error.what();
    ++result.skipped_updates;
  }
}

/// Mismatch of a batch that gives no gradient: on about one microbatch.
void measure_mismatch(Learner& learner, const std::vector<Episode>& episodes, Mismatch& mismatch) {
  std::vector<TrainSequence> sequences;
  std::vector<const Episode*> chosen;
  int64_t tokens = 0;
  for (const Episode& e : episodes) {
    if (tokens > learner.tokens_per_microbatch()) break;
    const auto& recorded = e.sampling_logprobs;
    if (recorded.empty() || recorded.size() != e.completion_ids.size()) continue;
    if (!all_finite(recorded)) continue;
    chosen.push_back(&e);
    sequences.push_back({e.prompt_ids, e.completion_ids});
    tokens += static_cast<int64_t>(e.completion_ids.size());
  }
  const auto logps = learner.logprobs(sequences, learner.lora());
  for (size_t i = 0; i < logps.size(); ++i) {
    if (all_finite(logps[i])) mismatch.add(logps[i], chosen[i]->sampling_logprobs);
  }
}

}  // namespace

PolicyUpdateResult update_policy(Learner& learner, const std::vector<Episode>& episodes,
                                 const Reference& reference, double lr,
                                 const PolicyUpdateOptions& options) {
  PolicyUpdateResult result;
  std::vector<Sample> samples = make_samples(learner, episodes, reference, options, result);
  PolicyLossOptions loss = options.loss;
  if (loss.mean_tokens == 0) loss.mean_tokens = options.max_completion_tokens;
  if (samples.empty()) {
    ++result.skipped_updates;
  } else {
    auto parts = minibatches(std::move(samples), options.updates_per_batch);
    for (int64_t epoch = 0; epoch < options.epochs; ++epoch) {
      for (auto& part : parts) {
        if (result.out_of_memory.empty()) try_update(learner, part, lr, loss, result);
      }
    }
  }
  if (result.num_updates > 0) {
    result.grad_norm /= static_cast<double>(result.num_updates);
    result.sums.loss /= static_cast<double>(result.num_updates);
  } else if (result.mismatch.num_tokens == 0) {
    measure_mismatch(learner, episodes, result.mismatch);
  }
  return result;
}

}  // namespace weft
