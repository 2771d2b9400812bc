#include "trainer/learn/grpo/policy_update.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <utility>

#include "base/check.h"
#include "base/error.h"

namespace weft {
namespace {

/// One episode as the loss sees it.
struct Sample {
  const Episode* episode = nullptr;
  size_t index = 0;  // of the episode in the batch
  double advantage = 0;
  double weight = 0;             // of each token
  bool masked = false;           // counts in the weights' denominators, has no loss itself
  std::vector<float> reference;  // [completion_ids] or empty
};

bool all_finite(std::span<const float> values) {
  return std::all_of(values.begin(), values.end(), [](float x) { return std::isfinite(x); });
}

/// Arrays of one microbatch, by loss row.
struct Rows {
  std::vector<float> behaviour, reference, advantage, weight;

  Rows(const Microbatch& microbatch, const std::vector<Sample>& samples) {
    for (const CompletionSpan& span : microbatch.spans) {
      const Sample& s = samples[span.sequence];
      const auto& recorded = s.episode->sampling_logprobs;
      behaviour.insert(behaviour.end(), recorded.begin(), recorded.end());
      reference.insert(reference.end(), s.reference.begin(), s.reference.end());
      advantage.insert(advantage.end(), recorded.size(), static_cast<float>(s.advantage));
      weight.insert(weight.end(), recorded.size(), static_cast<float>(s.weight));
    }
  }

  static std::span<const float> part(const std::vector<float>& all, int64_t begin, size_t count) {
    return all.empty() ? std::span<const float>() : std::span(all).subspan(begin, count);
  }

  PolicyTokens tokens(int64_t begin, std::span<const float> logp) const {
    const size_t n = logp.size();
    return {logp, part(behaviour, begin, n), part(reference, begin, n), part(advantage, begin, n),
            part(weight, begin, n)};
  }
};

TrainSequence sequence_of(const Episode& e) { return {e.prompt_ids, e.completion_ids}; }

std::vector<TrainSequence> sequences_of(const std::vector<Sample>& samples) {
  std::vector<TrainSequence> result;
  for (const Sample& s : samples) result.push_back(sequence_of(*s.episode));
  return result;
}

std::vector<Sample> make_samples(const std::vector<Episode>& episodes,
                                 const PolicyUpdateOptions& options, PolicyUpdateResult& result) {
  std::vector<Sample> samples;
  std::vector<double> rewards;
  std::vector<uint64_t> groups;
  const auto lost = lost_groups(episodes);
  result.dropped_groups = static_cast<int64_t>(lost.size());
  for (size_t i = 0; i < episodes.size(); ++i) {
    const Episode& e = episodes[i];
    if (!e.infra_error && !std::isfinite(e.reward)) {
      result.bad.push_back({i, "its reward is not finite"});
    }
    if (lost.contains(e.group) || e.completion_ids.empty()) continue;
    samples.push_back({&e, i, 0, 0, options.mask_truncated && e.truncated, {}});
    rewards.push_back(e.reward);
    groups.push_back(e.group);
  }
  const Advantages advantages =
      group_advantages(rewards, groups, options.advantage, options.population_std);
  result.num_groups = advantages.num_groups;
  result.zero_std_groups = advantages.zero_std_groups;
  for (size_t i = 0; i < samples.size(); ++i) {
    const double advantage = advantages.values[i];
    samples[i].advantage = advantage < 0 ? advantage * options.negative_weight : advantage;
  }
  for (Sample& s : samples) {
    if (all_finite(s.episode->sampling_logprobs)) continue;
    result.bad.push_back({s.index, "a logprob recorded while decoding is not finite"});
    s.masked = true;
  }
  return samples;
}

/// Shares of about equal numbers of prompts, in order; none is empty.
std::vector<std::vector<Sample>> minibatches(std::vector<Sample> samples, int64_t count) {
  std::vector<uint64_t> groups;
  for (const Sample& s : samples) {
    const uint64_t id = s.episode->group;
    if (std::find(groups.begin(), groups.end(), id) == groups.end()) groups.push_back(id);
  }
  std::vector<std::vector<Sample>> result(count);
  for (Sample& s : samples) {
    const auto index = std::find(groups.begin(), groups.end(), s.episode->group) - groups.begin();
    result[index * count / static_cast<int64_t>(groups.size())].push_back(std::move(s));
  }
  std::erase_if(result, [](const auto& part) { return part.empty(); });
  return result;
}

/// The samples with their weights, which are over all of them, without those that are masked or
/// have no gradient.
std::vector<Sample> weighed(std::vector<Sample> samples, const PolicyLossOptions& loss) {
  int64_t num_tokens = 0;
  for (const Sample& s : samples)
    num_tokens += static_cast<int64_t>(s.episode->sampling_logprobs.size());
  for (Sample& s : samples) {
    s.weight = token_weight(loss.mean, static_cast<int64_t>(s.episode->sampling_logprobs.size()),
                            static_cast<int64_t>(samples.size()), num_tokens);
  }
  const bool has_kl = loss.kl_coefficient > 0;
  std::erase_if(samples,
                [&](const Sample& s) { return s.masked || (!has_kl && s.advantage == 0); });
  return samples;
}

std::vector<std::vector<float>> reference_logprobs(Learner& learner, const Reference& reference,
                                                   const std::vector<TrainSequence>& sequences) {
  if (reference.kind == Reference::Kind::kModel) {
    return learner.logprobs_of(sequences, *reference.model);
  }
  return learner.logprobs(sequences, reference.lora);
}

double k3_sum(const std::vector<float>& logp, const std::vector<float>& reference) {
  Mismatch m;
  m.add(reference, logp);  // exp(d) - d - 1 with d = reference - logp
  return m.k3_sum;
}

/// Mean k3 to the reference; fills Sample::reference where the loss has a KL term, else looks at
/// the first samples only. Recorded logprobs stand for the policy's own. Samples without a finite
/// reference are masked.
std::optional<double> measure_kl(Learner& learner, const Reference& reference,
                                 std::vector<Sample>& samples, const PolicyLossOptions& loss,
                                 std::vector<BadEpisode>& bad) {
  if (reference.kind == Reference::Kind::kNone) return std::nullopt;
  std::vector<Sample*> chosen;
  std::vector<TrainSequence> sequences;
  int64_t tokens = 0;
  for (Sample& s : samples) {
    if (s.masked) continue;
    if (loss.kl_coefficient == 0 && tokens > learner.tokens_per_microbatch()) break;
    chosen.push_back(&s);
    sequences.push_back(sequence_of(*s.episode));
    tokens += static_cast<int64_t>(sequences.back().completion_ids.size());
  }
  if (sequences.empty()) return std::nullopt;
  const auto logps = reference_logprobs(learner, reference, sequences);
  double sum = 0, count = 0;
  for (size_t i = 0; i < logps.size(); ++i) {
    Sample& sample = *chosen[i];
    if (all_finite(logps[i])) {
      sum += k3_sum(sample.episode->sampling_logprobs, logps[i]);
      count += static_cast<double>(logps[i].size());
      if (loss.kl_coefficient > 0) sample.reference = logps[i];
    } else if (loss.kl_coefficient > 0) {
      bad.push_back({sample.index, "a logprob under the reference is not finite"});
      sample.masked = true;
    }
  }
  return count > 0 ? std::optional(sum / count) : std::nullopt;
}

/// The loss of these samples; adds to `sums` and, where it is given, `mismatch`.
MicrobatchLoss policy_loss(const std::vector<Sample>& samples, const PolicyLossOptions& options,
                           PolicySums& sums, Mismatch* mismatch) {
  return [&samples, &options, &sums, mismatch](const Microbatch& microbatch) -> CoefficientFn {
    const auto rows = std::make_shared<Rows>(microbatch, samples);
    return [&options, &sums, mismatch, rows](int64_t begin, std::span<const float> logp,
                                             std::span<float> out) {
      if (!all_finite(logp)) {
        std::fill(out.begin(), out.end(), std::numeric_limits<float>::quiet_NaN());
        return;
      }
      const PolicyTokens tokens = rows->tokens(begin, logp);
      if (mismatch != nullptr) mismatch->add(logp, tokens.behaviour_logp);
      policy_coefficients(tokens, options, out, &sums);
    };
  };
}

/// Masks those of `samples` whose own gradient is not finite in `part`, which holds them; false
/// where there is none.
bool mask_bad(Learner& learner, const std::vector<Sample>& samples, bool may_stop,
              const PolicyLossOptions& options, std::vector<Sample>& part,
              std::vector<BadEpisode>& bad) {
  const std::string tensor = learner.non_finite_weight(/*frozen_too=*/true);
  if (!tensor.empty()) throw Error("the policy's weights are not finite: " + tensor);
  std::vector<Sample> alone(1);
  PolicySums ignored;
  const auto found = learner.find_non_finite(
      sequences_of(samples),
      [&](size_t i) {
        alone[0] = samples[i];
        return policy_loss(alone, options, ignored, nullptr);
      },
      may_stop);
  for (const size_t i : found) {
    bad.push_back({samples[i].index, "its gradient is not finite"});
    for (Sample& s : part) s.masked |= s.index == samples[i].index;
  }
  return !found.empty();
}

void run_update(Learner& learner, std::vector<Sample> part, double lr,
                const PolicyLossOptions& options, PolicyUpdateResult& result) {
  std::vector<Sample> samples = weighed(part, options);
  if (samples.empty()) {
    ++result.skipped_updates;
    return;
  }
  const bool first = result.num_updates == 0;
  PolicySums sums;
  Mismatch mismatch;
  const auto attempt = [&] {
    sums = {};
    mismatch = {};
    return learner.step(sequences_of(samples),
                        policy_loss(samples, options, sums, first ? &mismatch : nullptr), lr,
                        /*may_stop=*/first);
  };
  UpdateResult update = attempt();
  if (!update.applied) {
    const bool found = mask_bad(learner, samples, first, options, part, result.bad);
    samples = weighed(part, options);
    if (found && !samples.empty()) update = attempt();
  }
  if (first) result.mismatch = mismatch;
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
  result.sums.add(sums);
  result.grad_norm += update.grad_norm;
  result.entropy_sum += update.entropy_sum;
  result.trained_tokens += update.loss_tokens;
}

/// Mismatch of a batch that gives no gradient: on about one microbatch.
void measure_mismatch(Learner& learner, const std::vector<Episode>& episodes, Mismatch& mismatch) {
  std::vector<TrainSequence> sequences;
  std::vector<const Episode*> chosen;
  int64_t tokens = 0;
  for (const Episode& e : episodes) {
    if (tokens > learner.tokens_per_microbatch()) break;
    if (e.completion_ids.empty() || !all_finite(e.sampling_logprobs)) continue;
    chosen.push_back(&e);
    sequences.push_back(sequence_of(e));
    tokens += static_cast<int64_t>(e.completion_ids.size());
  }
  const auto logps = learner.logprobs(sequences, learner.lora());
  for (size_t i = 0; i < logps.size(); ++i) {
    if (all_finite(logps[i])) mismatch.add(logps[i], chosen[i]->sampling_logprobs);
  }
}

}  // namespace

void PolicyUpdateOptions::validate() const {
  require_share("negative_weight", negative_weight);
  require_at_least("updates_per_batch", updates_per_batch, 1);
}

PolicyUpdateResult update_policy(Learner& learner, const std::vector<Episode>& episodes,
                                 const Reference& reference, double lr,
                                 const PolicyUpdateOptions& options) {
  PolicyUpdateResult result;
  std::vector<Sample> samples = make_samples(episodes, options, result);
  result.kl = measure_kl(learner, reference, samples, options.loss, result.bad);
  if (samples.empty()) {
    ++result.skipped_updates;
  } else {
    for (auto& part : minibatches(std::move(samples), options.updates_per_batch)) {
      run_update(learner, std::move(part), lr, options.loss, result);
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
