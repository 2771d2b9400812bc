/// Softmax over a row of logits and draws from it, without sorting the vocabulary.
#pragma once

#include <algorithm>
#include <vector>

#include "model/ops/cpu/isa/vec.h"

namespace weft::kernels {
namespace {

constexpr int64_t kSampleChunk = 1024;

// Greatest logit; NaN if any logit is NaN.
float highest_logit(const float* logits, int64_t size) {
  F32x16 top = F32x16{} + kNegativeInfinity;
  I32x16 nan = {};
  int64_t i = 0;
  for (; i + 16 <= size; i += 16) {
    const F32x16 v = load16(logits + i);
    top = max(top, v);
    nan |= v != v;
  }
  float result = max16(top);
  bool bad = false;
  for (int lane = 0; lane < 16; ++lane) bad |= nan[lane] != 0;
  for (; i < size; ++i) {
    bad |= logits[i] != logits[i];
    result = std::max(result, logits[i]);
  }
  return bad ? __builtin_nanf("") : result;
}

// Sum of e^((logit - top) / temperature) over [begin, end).
double mass(const float* logits, int64_t begin, int64_t end, float top, float inverse_temperature) {
  F32x16 sums = {};
  float sum = 0;
  int64_t i = begin;
  for (; i + 16 <= end; i += 16) sums += exp16((load16(logits + i) - top) * inverse_temperature);
  for (; i < end; ++i) sum += std::exp((logits[i] - top) * inverse_temperature);
  return static_cast<double>(sum) + sum16(sums);
}

WEFT_ONE_CODE double total_mass(const float* logits, int64_t size, float top,
                                float inverse_temperature) {
  double total = 0;
  for (int64_t i = 0; i < size; i += kSampleChunk) {
    total += mass(logits, i, std::min(size, i + kSampleChunk), top, inverse_temperature);
  }
  return total;
}

float log_sum_exp(const float* logits, int64_t size) {
  const float top = highest_logit(logits, size);
  if (!(top > kNegativeInfinity)) return top;
  return top + static_cast<float>(std::log(total_mass(logits, size, top, 1.0f)));
}

// Given the greatest logit and the sum of e^((logit - top) / temperature).
WEFT_ONE_CODE TokenLogprob logprob_of(const float* logits, int64_t id, float top, double total,
                                      float temperature) {
  const auto log_total = static_cast<float>(std::log(total));
  if (temperature == 1) return {logits[id] - (top + log_total), top + log_total};
  const float inverse = 1.0f / temperature;
  return {(logits[id] - top) * inverse - log_total, top * inverse + log_total};
}

TokenLogprob logprob(const float* logits, int64_t size, int64_t id, float temperature) {
  const float top = highest_logit(logits, size);
  if (!(top > kNegativeInfinity)) return {logits[id] - top, top};
  const double total = total_mass(logits, size, top, 1.0f / temperature);
  return logprob_of(logits, id, top, total, temperature);
}

// logits -> scale * softmax(logits), given their log sum exp; its entropy. A logit of -infinity
// adds nothing to it: its log probability is cut where exp16 gives 0.
float scaled_softmax(float* logits, int64_t size, float lse, float scale) {
  constexpr float kLowest = -88;
  if (!std::isfinite(lse)) {
    std::fill_n(logits, size, __builtin_nanf(""));
    return __builtin_nanf("");
  }
  double entropy = 0;
  for (int64_t begin = 0; begin < size; begin += kSampleChunk) {
    const int64_t end = std::min(size, begin + kSampleChunk);
    F32x16 sums = {};
    int64_t i = begin;
    for (; i + 16 <= end; i += 16) {
      const F32x16 logp = max(load16(logits + i) - lse, F32x16{} + kLowest);
      const F32x16 p = exp16(logp);
      sums -= p * logp;
      store16(logits + i, scale * p);
    }
    for (; i < end; ++i) {
      const float logp = std::max(logits[i] - lse, kLowest), p = std::exp(logp);
      entropy -= p * logp;
      logits[i] = scale * p;
    }
    entropy += sum16(sums);
  }
  return static_cast<float>(entropy);
}

// Inverse of the cumulative distribution at `target` of the whole softmax.
int64_t draw_uncut(const SampleArgs& a, float top, float inverse_temperature, double target) {
  double before = 0;
  int64_t last = 0;
  for (int64_t i = 0; i < a.size; i += kSampleChunk) {
    const int64_t end = std::min(a.size, i + kSampleChunk);
    const double chunk = mass(a.logits, i, end, top, inverse_temperature);
    if (before + chunk <= target && end < a.size) {
      before += chunk;
      continue;
    }
    for (int64_t j = i; j < end; ++j) {
      const float e = std::exp((a.logits[j] - top) * inverse_temperature);
      if (e > 0) last = j;
      before += e;
      if (before > target) return j;
    }
  }
  return last;
}

struct Candidate {
  float weight;  // unnormalised probability
  int64_t id;
};

// Ids kept by top_k, top_p and min_p, most probable first.
std::vector<Candidate> kept_candidates(const SampleArgs& a, float top, float inverse_temperature) {
  const int64_t wanted = a.top_k > 0 ? std::min(a.top_k, a.size) : 0;
  const double total = total_mass(a.logits, a.size, top, inverse_temperature);
  std::vector<Candidate> kept;
  for (const float floor : {1e-3f, 1e-6f, 0.0f}) {
    const float lowest =
        floor > 0 ? top + std::log(floor) / inverse_temperature : kNegativeInfinity;
    kept.clear();
    double found = 0;
    for (int64_t i = 0; i < a.size; ++i) {
      if (a.logits[i] < lowest) continue;
      kept.push_back({std::exp((a.logits[i] - top) * inverse_temperature), i});
      found += kept.back().weight;
    }
    const bool enough_for_k = wanted == 0 || static_cast<int64_t>(kept.size()) >= wanted;
    const bool enough_for_p = wanted > 0 || a.top_p >= 1 || found >= a.top_p * total;
    const bool enough_for_min_p = wanted > 0 || a.top_p < 1 || a.min_p > floor;
    if (enough_for_k && enough_for_p && enough_for_min_p) break;
  }
  std::sort(kept.begin(), kept.end(), [](const Candidate& x, const Candidate& y) {
    return x.weight != y.weight ? x.weight > y.weight : x.id < y.id;
  });
  if (wanted > 0) kept.resize(wanted);
  if (a.top_p < 1) {
    double base = wanted > 0 ? 0 : total, sum = 0;
    if (wanted > 0) {
      for (const auto& c : kept) base += c.weight;
    }
    size_t n = 0;
    while (n < kept.size() && sum < a.top_p * base) sum += kept[n++].weight;
    kept.resize(std::max<size_t>(n, 1));
  }
  while (kept.size() > 1 && kept.back().weight < a.min_p * kept.front().weight) kept.pop_back();
  return kept;
}

SampleResult sample_greedy(const SampleArgs& a, float top, float lse) {
  const int64_t id = std::find(a.logits, a.logits + a.size, top) - a.logits;
  return {id, top - lse, 0.0f};
}

SampleResult sample(const SampleArgs& a) {
  const float top = highest_logit(a.logits, a.size);
  if (!(top > kNegativeInfinity) || std::isinf(top)) return {};
  const double raw = total_mass(a.logits, a.size, top, 1.0f);
  const float lse = top + static_cast<float>(std::log(raw));
  if (a.temperature == 0) return sample_greedy(a, top, lse);
  const float inverse = 1.0f / a.temperature;
  if (a.top_k <= 0 && a.top_p >= 1 && a.min_p <= 0) {
    const double total = a.temperature == 1 ? raw : total_mass(a.logits, a.size, top, inverse);
    const int64_t id = draw_uncut(a, top, inverse, a.uniform * total);
    return {id, a.logits[id] - lse, logprob_of(a.logits, id, top, total, a.temperature).logprob};
  }
  const auto kept = kept_candidates(a, top, inverse);
  double total = 0, before = 0;
  for (const auto& c : kept) total += c.weight;
  size_t chosen = 0;
  for (; chosen + 1 < kept.size(); ++chosen) {
    before += kept[chosen].weight;
    if (before > a.uniform * total) break;
  }
  const auto [weight, id] = kept[chosen];
  return {id, a.logits[id] - lse, static_cast<float>(std::log(weight / total))};
}

}  // namespace
}  // namespace weft::kernels
