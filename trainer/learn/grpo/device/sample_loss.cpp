#include "trainer/learn/grpo/device/sample_loss.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <limits>
#include <memory>

#include "model/ops/queued_copy.h"

namespace weft {

/// Arrays of one microbatch, by loss row; empty where the loss needs none.
struct SampleLoss::Rows {
  std::vector<float> recorded, behaviour, reference, advantage, weight, sequence_log_ratio,
      importance;

  Rows(const Microbatch& microbatch, const std::vector<Sample>& samples, RatioLevel level) {
    const auto append = [](std::vector<float>& all, std::span<const float> values) {
      all.insert(all.end(), values.begin(), values.end());
    };
    for (const CompletionSpan& span : microbatch.spans) {
      const Sample& s = samples[span.sequence];
      const size_t n = s.episode->sampling_logprobs.size();
      append(recorded, s.episode->sampling_logprobs);
      append(behaviour, s.behaviour());
      append(reference, s.reference);
      append(importance, s.importance);
      advantage.insert(advantage.end(), n, static_cast<float>(s.advantage));
      weight.insert(weight.end(), n, static_cast<float>(s.weight));
      if (level == RatioLevel::kSequence) {
        sequence_log_ratio.insert(sequence_log_ratio.end(), n,
                                  static_cast<float>(s.sequence_log_ratio));
      }
    }
  }

  static std::span<const float> part(const std::vector<float>& all, int64_t begin, size_t count) {
    return all.empty() ? std::span<const float>() : std::span(all).subspan(begin, count);
  }

  PolicyTokens tokens(int64_t begin, std::span<const float> logp) const {
    const auto of = [&](const std::vector<float>& all) { return part(all, begin, logp.size()); };
    return {logp,       of(behaviour),          of(reference), of(advantage),
            of(weight), of(sequence_log_ratio), of(importance)};
  }

  /// By one copy that the host does not wait for.
  PolicyTensors to(at::Device device, bool with_recorded) const {
    const std::vector<float> none;
    const std::vector<float>* const arrays[] = {&behaviour,
                                                &reference,
                                                &advantage,
                                                &weight,
                                                &sequence_log_ratio,
                                                &importance,
                                                with_recorded ? &recorded : &none};
    at::Tensor host = at::empty({std::ssize(arrays), std::ssize(weight)}, at::kFloat);
    at::Tensor views[std::size(arrays)];
    for (size_t i = 0; i < std::size(arrays); ++i) {
      std::copy(arrays[i]->begin(), arrays[i]->end(),
                host.data_ptr<float>() + static_cast<int64_t>(i) * std::ssize(weight));
    }
    const at::Tensor moved = ops::queued_copy(host, device);
    for (size_t i = 0; i < std::size(arrays); ++i) {
      if (!arrays[i]->empty()) views[i] = moved[static_cast<int64_t>(i)];
    }
    return {views[0], views[1], views[2], views[3], views[4], views[5], views[6]};
  }
};

MicrobatchLoss SampleLoss::by_microbatch() {
  return [this](const Microbatch& microbatch) -> CoefficientFn {
    const auto rows = std::make_shared<const Rows>(microbatch, samples_, options_.ratio);
    const CoefficientFn by_spans =
        on_host([this, rows](int64_t begin, std::span<const float> logp, std::span<float> out) {
          coefficients(*rows, begin, logp, out);
        });
    const auto moved = std::make_shared<PolicyTensors>();
    return [this, rows, by_spans, moved](int64_t begin, const at::Tensor& logp) {
      if (logp.is_cpu()) return by_spans(begin, logp);
      if (!moved->weight.defined()) *moved = rows->to(logp.device(), compares_);
      return policy_coefficients(logp, moved->part(begin, logp.numel()), options_, on_device_);
    };
  };
}

void SampleLoss::coefficients(const Rows& rows, int64_t begin, std::span<const float> logp,
                              std::span<float> out) {
  if (!all_finite(logp)) {
    std::fill(out.begin(), out.end(), std::numeric_limits<float>::quiet_NaN());
    return;
  }
  if (compares_) on_host_.mismatch.add(logp, Rows::part(rows.recorded, begin, logp.size()));
  policy_coefficients(rows.tokens(begin, logp), options_, out, &on_host_.sums);
}

PolicyTotals::Values SampleLoss::totals() const {
  PolicyTotals::Values all = on_device_.values();
  all.sums.add(on_host_.sums);
  if (on_host_.mismatch.num_tokens > 0) all.mismatch = on_host_.mismatch;
  return all;
}

}  // namespace weft
