// The sampling kernel, run on fibers, against the CPU's sampler.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include "base/rng.h"
#include "model/ops/cpu/kernel_table.h"
#include "model/ops/cuda/launch_shapes.h"
#include "model/ops/cuda/sample_body.h"
#include "tests/support/fiber_block.h"

namespace weft {
namespace {

using kernels::SampleArgs;
using kernels::SampleResult;

// The bodies take what they are given.
test::FiberBlock& few_threads() {
  thread_local test::FiberBlock block(64);
  return block;
}

/// Both samplers on the same row, and how often the GPU's read it.
struct Draw {
  SampleResult cpu, gpu;
  double passes;
};

Draw draw_both(SampleArgs args, const std::vector<float>& logits,
               test::FiberBlock& block = few_threads()) {
  args.logits = logits.data();
  args.size = static_cast<int64_t>(logits.size());
  Draw draw;
  draw.cpu = kernels::kernel_table().sample(args);
  const int64_t before = block.loads();
  block.run({1, 1, 1}, cuda::kSampleShared, [&](auto& b) {
    cuda::sample_body(b, cuda::SampleRows{&args, &draw.gpu, 1});
  });
  draw.passes = static_cast<double>(block.loads() - before) / static_cast<double>(logits.size());
  return draw;
}

// Logprobs of magnitude up to 16 from fp32 sums of both.
constexpr float kLogprobTolerance = 1e-5f;

void expect_same(const Draw& draw, const SampleArgs& a) {
  EXPECT_EQ(draw.gpu.id, draw.cpu.id) << "u " << a.uniform << " t " << a.temperature << " k "
                                      << a.top_k << " p " << a.top_p << " min " << a.min_p;
  EXPECT_NEAR(draw.gpu.logprob, draw.cpu.logprob, kLogprobTolerance);
  EXPECT_NEAR(draw.gpu.sampling_logprob, draw.cpu.sampling_logprob, kLogprobTolerance);
}

std::vector<float> random_logits(size_t n, double scale, uint64_t seed) {
  Rng rng(seed);
  std::vector<float> logits(n);
  for (float& x : logits) x = static_cast<float>(rng.normal() * scale);
  return logits;
}

// A draw falls on another id only where the uniform lies within both samplers' rounding, about
// 1e-6, of a border between two ids.
TEST(GpuSampler, DrawsTheIdsThatTheCpuDraws) {
  const std::vector<SampleArgs> cuts = {
      {nullptr, 0, 0, 1, 1, 0, 0},
      {nullptr, 0, 0, 0, 1, 0, 0},
      {nullptr, 0, 0, 0.7f, 1, 0, 0},
      {nullptr, 0, 0, 1, 0.9f, 0, 0},
      {nullptr, 0, 0, 0.7f, 1, 0, 20},
      {nullptr, 0, 0, 2, 1, 0.05f, 0},
      {nullptr, 0, 0, 1.5f, 0.8f, 0.01f, 50},
      {nullptr, 0, 0, 5, 0.999f, 0, 0},
      {nullptr, 0, 0, 1, 1, 0, 1},
      {nullptr, 0, 0, 1, 0.5f, 0, 5000},
      {nullptr, 0, 0, 1, 1e-6f, 0, 0},
      {nullptr, 0, 0, 1, 1, 1, 0},
  };
  for (const auto& logits : {random_logits(1500, 3, 1), random_logits(237, 0.1, 2),
                             random_logits(40, 8, 3), std::vector<float>{2.5f}}) {
    for (SampleArgs args : cuts) {
      for (const double uniform : {0.0, 0.137, 0.93, 0.99999}) {
        args.uniform = uniform;
        expect_same(draw_both(args, logits), args);
      }
    }
  }
}

// Relative rounding of both samplers' sums and, where they are cut, of the uniform's target.
constexpr double kSumTolerance = 1e-6;

/// The ids of a row as they rank, with the sums of their weights.
struct Ranking {
  std::vector<int64_t> ids;
  std::vector<float> weights;   // of the ids, as both samplers compute them
  std::vector<double> through;  // sums down to an id and itself
  size_t kept_low, kept_high;   // numbers of ids that the cuts may keep

  Ranking(const SampleArgs& a, const std::vector<float>& logits) : ids(logits.size()) {
    const float top = *std::max_element(logits.begin(), logits.end());
    const float inverse = 1.0f / a.temperature;
    std::vector<float> all;
    for (const float x : logits) all.push_back(std::exp((x - top) * inverse));
    std::iota(ids.begin(), ids.end(), 0);
    std::sort(ids.begin(), ids.end(),
              [&](int64_t x, int64_t y) { return all[x] != all[y] ? all[x] > all[y] : x < y; });
    double sum = 0;
    for (const int64_t id : ids) {
      weights.push_back(all[id]);
      through.push_back(sum += all[id]);
    }
    size_t kept = ids.size();
    if (a.top_k > 0) kept = std::min(kept, static_cast<size_t>(a.top_k));
    kept_low = kept_high = kept;
    if (a.top_p < 1) {
      const double wanted = a.top_p * through[kept - 1];
      kept_low = count_to(wanted * (1 - kSumTolerance), kept);
      kept_high = count_to(wanted * (1 + kSumTolerance), kept);
    }
    const auto above_min =
        std::partition_point(weights.begin(), weights.end(), [&](float w) { return w >= a.min_p; });
    const auto most = static_cast<size_t>(above_min - weights.begin());
    kept_low = std::min(kept_low, most);
    kept_high = std::min(kept_high, most);
  }

  size_t count_to(double sum, size_t most) const {
    const auto at = std::lower_bound(through.begin(), through.begin() + most, sum);
    return std::min(static_cast<size_t>(at - through.begin()) + 1, most);
  }

  /// Why the result is none that rounding allows, or "".
  std::string refuse(const SampleArgs& a, const SampleResult& result) const {
    const auto place =
        static_cast<size_t>(std::find(ids.begin(), ids.end(), result.id) - ids.begin());
    if (place >= kept_high) return "an id that is not kept";
    const double low = through[kept_low - 1], high = through[kept_high - 1];
    const double slack = kSumTolerance * high;
    if (through[place] - weights[place] > a.uniform * high + slack) return "too low an id";
    if (through[place] < a.uniform * low - slack) return "too high an id";
    const double least = std::log(weights[place] / high), most = std::log(weights[place] / low);
    if (result.sampling_logprob < least - kLogprobTolerance) return "too low a logprob";
    if (result.sampling_logprob > most + kLogprobTolerance) return "too high a logprob";
    return "";
  }
};

const std::vector<SampleArgs> kCuts = {
    {nullptr, 0, 0, 1, 0.95f, 0, 0},    {nullptr, 0, 0, 0.7f, 0.8f, 0, 0},
    {nullptr, 0, 0, 1.3f, 0.5f, 0, 0},  {nullptr, 0, 0, 1, 1, 0, 50},
    {nullptr, 0, 0, 1, 0.9f, 0, 20000}, {nullptr, 0, 0, 1, 1, 0.1f, 0},
    {nullptr, 0, 0, 2, 0.999f, 0, 0},   {nullptr, 0, 0, 1, 0.99f, 0.02f, 700},
};

/// The id that the masses in fixed point say, whose sums have no rounding.
int64_t exact_draw(const SampleArgs& a, const Ranking& ranking) {
  std::vector<uint64_t> through;
  uint64_t sum = 0, from_min_p = 0;
  for (const float weight : ranking.weights) {
    through.push_back(sum += cuda::mass_of(weight));
    if (weight >= a.min_p) from_min_p = sum;
  }
  const auto place_of = [&](uint64_t target) {
    return std::upper_bound(through.begin(), through.end(), target) - through.begin();
  };
  uint64_t kept = sum;
  if (a.top_k > 0) kept = through[std::min(through.size(), static_cast<size_t>(a.top_k)) - 1];
  if (a.top_p < 1) {
    const double wanted = std::ceil(static_cast<double>(a.top_p) * static_cast<double>(kept));
    kept = through[place_of(static_cast<uint64_t>(wanted) - 1)];
  }
  kept = std::min(kept, from_min_p);
  return ranking.ids[place_of(cuda::mass_share(a.uniform, kept, kept - 1))];
}

/// Draws with each of the cuts, which must be what rounding allows of the sorted row; most reads of
/// the row. The last look at a few ids, which all threads take, is no reading of the row.
double most_passes(const std::vector<float>& logits, const std::vector<double>& uniforms) {
  test::FiberBlock block(cuda::kSampleThreads);
  const auto size = static_cast<double>(logits.size());
  const double again = 1.0 / 256 + 2.0 * cuda::kSampleThreads / size;
  double most = 0;
  for (SampleArgs args : kCuts) {
    const Ranking ranking(args, logits);
    for (const double uniform : uniforms) {
      args.uniform = uniform;
      const Draw draw = draw_both(args, logits, block);
      EXPECT_EQ(draw.gpu.id, exact_draw(args, ranking)) << "k " << args.top_k;
      EXPECT_EQ(ranking.refuse(args, draw.gpu), "") << "k " << args.top_k << " p " << args.top_p;
      EXPECT_EQ(ranking.refuse(args, draw.cpu), "") << "k " << args.top_k << " p " << args.top_p;
      most = std::max(most, draw.passes - again);
    }
  }
  return most;
}

/// As logits are that a matrix product rounded to bf16.
std::vector<float> rounded(std::vector<float> logits) {
  for (float& x : logits) x = cuda::to_float(cuda::from_float<cuda::Bf16>(x));
  return logits;
}

TEST(GpuSampler, ReadsARowOfNormalLogitsAtMostFourTimes) {
  for (const double scale : {6.0, 3.0, 1.0, 0.3, 0.02}) {
    EXPECT_LE(most_passes(random_logits(32000, scale, 4), {0.71}), 4) << scale;
  }
}

TEST(GpuSampler, ReadsALongRowWithPeaksAtMostFourTimes) {
  for (const double scale : {2.5, 0.02}) {
    auto logits = random_logits(152064, scale, 6);
    for (int i = 0; i < 40; ++i) logits[3801 * i] += 6.0f + 0.1f * static_cast<float>(i);
    EXPECT_LE(most_passes(logits, {0.71}), 4) << scale;
  }
}

TEST(GpuSampler, ReadsARowOfRoundedLogitsAtMostFourTimes) {
  for (const double scale : {6.0, 1.0, 0.1}) {
    EXPECT_LE(most_passes(rounded(random_logits(40000, scale, 8)), {0.4, 0.98}), 4);
  }
}

TEST(GpuSampler, ReadsAFlatRowAtMostFourTimes) {
  EXPECT_LE(most_passes(std::vector<float>(32000, -3.5f), {0.02, 0.71}), 4);
  EXPECT_LE(most_passes(random_logits(32000, 1e-5, 9), {0.02, 0.71}), 4);
}

TEST(GpuSampler, ReadsARowOfThousandsOfEqualWeightsAtMostFourTimes) {
  std::vector<float> logits(20000);
  for (size_t i = 0; i < logits.size(); ++i) logits[i] = -0.5f * static_cast<float>(i % 3);
  for (size_t i = 0; i < 10; ++i) logits[1999 * i] = 1.0f + 0.1f * static_cast<float>(i);
  EXPECT_LE(most_passes(logits, {0.0, 0.0003, 0.4, 0.98}), 4);
}

// Each weight agrees with thousands of others to 2^-20, next to peaks that keep histograms coarse.
TEST(GpuSampler, ReadsARowOfThousandsOfHardlyDifferentWeightsAtMostFifteenTimes) {
  std::vector<float> logits = random_logits(32000, 1e-6, 10);
  for (size_t i = 0; i < 10; ++i) logits[1999 * i] = 6.0f + 0.5f * static_cast<float>(i);
  for (float& x : logits) x += 0.1f;
  const double passes = most_passes(logits, {0.4, 0.9999});
  EXPECT_GT(passes, 4) << "the slow way is not tried";
  EXPECT_LE(passes, 15);
}

TEST(GpuSampler, ReadsARowThreeTimesAndAShareAgainWithoutCuts) {
  test::FiberBlock block(cuda::kSampleThreads);
  const auto logits = random_logits(32000, 3, 7);
  for (const float temperature : {0.0f, 0.7f, 1.0f}) {
    const Draw draw = draw_both({nullptr, 0, 0.6, temperature, 1, 0, 0}, logits, block);
    EXPECT_EQ(draw.gpu.id, draw.cpu.id);
    EXPECT_LE(draw.passes, 3.1);
  }
}

TEST(GpuSampler, EqualAndMaskedLogitsRankById) {
  std::vector<float> logits(300, 1.0f);
  for (size_t i = 0; i < logits.size(); i += 3) logits[i] = -std::numeric_limits<float>::infinity();
  for (const int64_t top_k : {0, 7, 250}) {
    for (const float top_p : {1.0f, 0.4f}) {
      for (const double uniform : {0.0, 0.3, 0.77}) {
        const SampleArgs args{nullptr, 0, uniform, 1, top_p, 0, top_k};
        expect_same(draw_both(args, logits), args);
      }
    }
  }
  expect_same(draw_both({nullptr, 0, 0.5, 0, 1, 0, 0}, logits), {});
}

TEST(GpuSampler, RefusesWhatIsNoDistribution) {
  constexpr float inf = std::numeric_limits<float>::infinity();
  std::vector<float> with_nan(100, 0.0f), with_inf(100, 0.0f);
  with_nan[97] = std::nanf("");
  with_inf[3] = inf;
  for (const auto& logits : {with_nan, with_inf, std::vector<float>(100, -inf)}) {
    for (const float temperature : {0.0f, 1.0f}) {
      EXPECT_EQ(draw_both({nullptr, 0, 0.5, temperature, 1, 0, 0}, logits).gpu.id, -1);
    }
  }
}

}  // namespace
}  // namespace weft
