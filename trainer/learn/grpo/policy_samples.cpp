#include "trainer/learn/grpo/policy_samples.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/error.h"

namespace weft {
namespace {

TrainSequence sequence_of(const Episode& e) { return {e.prompt_ids, e.completion_ids}; }

/// Leaves out what has no reward or no tokens.
std::vector<Sample> usable_samples(const std::vector<Episode>& episodes,
                                   const PolicyUpdateOptions& options, PolicyUpdateResult& result) {
  std::vector<Sample> samples;
  const auto lost = lost_groups(episodes);
  result.dropped_groups = static_cast<int64_t>(lost.size());
  for (size_t i = 0; i < episodes.size(); ++i) {
    const Episode& e = episodes[i];
    if (!e.infra_error && !std::isfinite(e.reward)) {
      result.bad.push_back({i, "its reward is not finite"});
    }
    if (lost.contains(e.group)) continue;
    if (e.completion_ids.empty()) {
      result.bad.push_back({i, "it has no tokens"});
    } else if (e.sampling_logprobs.size() != e.completion_ids.size()) {
      result.bad.push_back({i, fmt::format("{} recorded logprobs for {} tokens",
                                           e.sampling_logprobs.size(), e.completion_ids.size())});
    } else {
      Sample& sample = samples.emplace_back();
      sample.episode = &e;
      sample.index = i;
      sample.masked = options.mask_truncated && e.truncated;
      result.masked_truncated += sample.masked ? 1 : 0;
    }
  }
  for (Sample& s : samples) {
    if (all_finite(s.episode->sampling_logprobs)) continue;
    s.spoil("a logprob recorded while decoding is not finite", result.bad);
  }
  return samples;
}

void drop_equal_groups(std::vector<Sample>& samples, PolicyUpdateResult& result) {
  std::vector<double> rewards;
  std::vector<uint64_t> groups;
  for (const Sample& s : samples) {
    rewards.push_back(s.episode->reward);
    groups.push_back(s.episode->group);
  }
  const auto equal = equal_groups(rewards, groups);
  std::erase_if(samples, [&](const Sample& s) { return equal.contains(s.episode->group); });
  result.num_groups += static_cast<int64_t>(equal.size());
  result.zero_std_groups += static_cast<int64_t>(equal.size());
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

/// Mean k3 to the reference; fills Sample::reference where there is a KL coefficient, else looks at
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
    if (loss.kl_in_reward() ? s.bad : s.masked) continue;
    if (loss.kl_coefficient == 0 && tokens > learner.tokens_per_microbatch()) break;
    chosen.push_back(&s);
    sequences.push_back(sequence_of(*s.episode));
    tokens += s.length();
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
      sample.spoil("a logprob under the reference is not finite", bad);
    }
  }
  return count > 0 ? std::optional(sum / count) : std::nullopt;
}

/// The reward that advantages are made of.
double shaped_reward(const Sample& s, const PolicyUpdateOptions& options) {
  double reward = s.episode->reward;
  if (options.overlong_share > 0) {
    const int64_t most = options.max_completion_tokens;
    WEFT_ASSERT(most > 0);
    reward += overlong_penalty(s.length(), most, options.overlong_share * static_cast<double>(most),
                               options.overlong_factor);
  }
  if (options.loss.kl_in_reward()) {
    const auto& recorded = s.episode->sampling_logprobs;
    double sum = 0;
    for (size_t i = 0; i < recorded.size(); ++i) {
      sum += kl_term(options.loss.kl, recorded[i], s.reference[i]).value;
    }
    reward -= options.loss.kl_coefficient * sum;
  }
  return reward;
}

void set_advantages(std::vector<Sample>& samples, const PolicyUpdateOptions& options,
                    PolicyUpdateResult& result) {
  std::vector<Sample*> compared;
  std::vector<double> rewards;
  std::vector<uint64_t> groups;
  for (Sample& s : samples) {
    if (options.loss.kl_in_reward() && s.reference.empty()) continue;
    compared.push_back(&s);
    rewards.push_back(shaped_reward(s, options));
    groups.push_back(s.episode->group);
  }
  const Advantages advantages =
      group_advantages(rewards, groups, options.advantage, options.population_std);
  result.num_groups += advantages.num_groups;
  result.zero_std_groups += advantages.zero_std_groups;
  for (size_t i = 0; i < compared.size(); ++i) {
    const double advantage = advantages.values[i];
    compared[i]->advantage = advantage < 0 ? advantage * options.negative_weight : advantage;
  }
}

/// Importance weights and rejection by the learner's own logprobs.
void correct_samples(Learner& learner, std::vector<Sample>& samples,
                     const CorrectionOptions& options, PolicyUpdateResult& result) {
  if (!options.enabled()) return;
  std::vector<Sample*> chosen;
  std::vector<TrainSequence> sequences;
  for (Sample& s : samples) {
    if (s.masked) continue;
    chosen.push_back(&s);
    sequences.push_back(sequence_of(*s.episode));
  }
  auto logps = learner.logprobs(sequences, learner.lora());
  if (!std::all_of(logps.begin(), logps.end(), all_finite)) require_finite_weights(learner);
  for (size_t i = 0; i < logps.size(); ++i) {
    Sample& sample = *chosen[i];
    if (!all_finite(logps[i])) {
      sample.spoil("a logprob under the policy is not finite", result.bad);
      continue;
    }
    Correction correction =
        correct(logps[i], sample.episode->sampling_logprobs, options, result.ratios);
    sample.old_logp = std::move(logps[i]);
    sample.importance = std::move(correction.weights);
    sample.masked |= correction.rejected;
  }
}

}  // namespace

bool all_finite(std::span<const float> values) {
  return std::all_of(values.begin(), values.end(), [](float x) { return std::isfinite(x); });
}

void require_finite_weights(const Learner& learner) {
  const std::string tensor = learner.non_finite_weight(/*frozen_too=*/true);
  if (!tensor.empty()) throw Error("the policy's weights are not finite: " + tensor);
}

std::vector<TrainSequence> sequences_of(const std::vector<Sample>& samples) {
  std::vector<TrainSequence> result;
  for (const Sample& s : samples) result.push_back(sequence_of(*s.episode));
  return result;
}

std::span<const float> Sample::behaviour() const {
  return old_logp.empty() ? std::span(episode->sampling_logprobs) : std::span(old_logp);
}

void Sample::spoil(std::string reason, std::vector<BadEpisode>& list) {
  list.push_back({index, std::move(reason)});
  bad = masked = true;
}

std::vector<Sample> make_samples(Learner& learner, const std::vector<Episode>& episodes,
                                 const Reference& reference, const PolicyUpdateOptions& options,
                                 PolicyUpdateResult& result) {
  if (options.loss.kl_coefficient > 0 && reference.kind == Reference::Kind::kNone) {
    throw InputError("kl_coefficient: a KL term needs a reference, got none");
  }
  std::vector<Sample> samples = usable_samples(episodes, options, result);
  if (options.drop_equal_groups) drop_equal_groups(samples, result);
  result.kl = measure_kl(learner, reference, samples, options.loss, result.bad);
  set_advantages(samples, options, result);
  correct_samples(learner, samples, options.correction, result);
  return samples;
}

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

std::vector<Sample> weighed(std::vector<Sample> samples, const PolicyLossOptions& loss) {
  BatchSize batch{static_cast<int64_t>(samples.size()), 0, loss.mean_tokens};
  for (const Sample& s : samples) batch.num_tokens += s.length();
  for (Sample& s : samples) s.weight = token_weight(loss.mean, s.length(), batch);
  std::erase_if(samples, [&](const Sample& s) {
    return s.masked || (!loss.kl_in_loss() && s.advantage == 0);
  });
  return samples;
}

void set_sequence_ratios(Learner& learner, std::vector<Sample>& samples, bool unchanged,
                         const StopCheck& stop) {
  const bool known = std::all_of(samples.begin(), samples.end(),
                                 [](const Sample& s) { return !s.old_logp.empty(); });
  if (unchanged && known) return;  // the ratio is 1
  const auto logps = learner.logprobs(sequences_of(samples), learner.lora(), stop);
  for (size_t i = 0; i < samples.size(); ++i) {
    samples[i].sequence_log_ratio = sequence_log_ratio(logps[i], samples[i].behaviour());
  }
}

}  // namespace weft
