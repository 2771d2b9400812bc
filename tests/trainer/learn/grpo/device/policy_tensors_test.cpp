// The policy loss of tensors beside that of spans, on the CPU and on the fake device.
#include "trainer/learn/grpo/device/policy_tensors.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/fake_device/fake_device.h"
#include "tests/trainer/learn/update/learn_support.h"
#include "trainer/learn/grpo/method.h"

namespace weft {
namespace {

constexpr int64_t kTokens = 97;

struct Arrays {
  std::vector<float> logp, behaviour, reference, advantage, weight, sequence, importance;

  Arrays() {
    Rng rng(8);
    for (int64_t i = 0; i < kTokens; ++i) {
      const double logp_i = -3 * rng.uniform();
      logp.push_back(static_cast<float>(logp_i));
      behaviour.push_back(static_cast<float>(logp_i + .4 * rng.normal()));
      reference.push_back(static_cast<float>(logp_i + .5 * rng.normal()));
      advantage.push_back(i % 7 == 0 ? 0.0f : static_cast<float>(rng.normal()));
      weight.push_back(static_cast<float>(rng.uniform() / kTokens));
      sequence.push_back(static_cast<float>(1e-3 * rng.normal()));
      importance.push_back(static_cast<float>(2 * rng.uniform()));
    }
    behaviour[3] = logp[3] - 40;  // beyond the bound of log ratios
    behaviour[4] = logp[4] + 40;
  }
  PolicyTokens spans() const {
    return {logp, behaviour, reference, advantage, weight, sequence, importance};
  }
  PolicyTensors tensors(at::Device device) const {
    const auto on = [&](const std::vector<float>& values) { return test::row(values).to(device); };
    return {on(behaviour), on(reference),  on(advantage), on(weight),
            on(sequence),  on(importance), on(behaviour)};
  }
};

std::vector<PolicyLossOptions> all_losses() {
  std::vector<PolicyLossOptions> all;
  for (const auto& [method, name] : enum_table(PolicyMethod{})) {
    PolicyUpdateOptions update;
    int64_t refill_rounds = 0;
    apply_method(method, update, refill_rounds);
    all.push_back(update.loss);
    update.loss.kl_place = KlPlace::kLoss;
    for (const KlKind kind : {KlKind::kK1, KlKind::kK2, KlKind::kK3, KlKind::kK3Plus}) {
      for (const bool importance : {false, true}) {
        if (kind == KlKind::kK1 && !importance) continue;
        update.loss.kl = kind;
        update.loss.kl_coefficient = .05;
        update.loss.kl_importance = importance;
        all.push_back(update.loss);
      }
    }
    if (update.loss.surrogate == Surrogate::kCispo) continue;
    update.loss.dual_clip = 1.2;
    all.push_back(update.loss);
  }
  return all;
}

// Both compute in fp64; exp may differ in its last bit, and sums in their order.
void expect_close(double got, double expected, const char* what) {
  EXPECT_NEAR(got, expected, 1e-12 * kTokens * (1 + std::abs(expected))) << what;
}

void expect_twin(const PolicyLossOptions& loss, at::Device device) {
  loss.validate();
  const Arrays a;
  std::vector<float> expected(kTokens);
  PolicySums sums;
  policy_coefficients(a.spans(), loss, expected, &sums);
  Mismatch mismatch;
  mismatch.add(a.logp, a.behaviour);

  PolicyTotals totals;
  const at::Tensor logp = test::row(a.logp).to(device);
  std::vector<float> got;
  for (const auto& [begin, count] : {std::pair<int64_t, int64_t>{0, 40}, {40, kTokens - 40}}) {
    const at::Tensor part = policy_coefficients(logp.narrow(0, begin, count),
                                                a.tensors(device).part(begin, count), loss, totals);
    EXPECT_EQ(part.device(), device);
    const at::Tensor on_host = part.cpu();
    const float* first = on_host.const_data_ptr<float>();
    got.insert(got.end(), first, first + count);
  }
  for (int64_t i = 0; i < kTokens; ++i) {
    EXPECT_NEAR(got[i], expected[i], 0x1p-23 * std::abs(expected[i])) << i;
  }
  const auto values = totals.values();
  expect_close(values.sums.loss, sums.loss, "loss");
  expect_close(values.sums.kl, sums.kl, "kl");
  expect_close(values.sums.ratio_max, sums.ratio_max, "ratio_max");
  EXPECT_EQ(values.sums.num_tokens, sums.num_tokens);
  EXPECT_EQ(values.sums.clipped_low, sums.clipped_low);
  EXPECT_EQ(values.sums.clipped_high, sums.clipped_high);
  expect_close(values.mismatch.sum, mismatch.sum, "mismatch sum");
  expect_close(values.mismatch.max, mismatch.max, "mismatch max");
  expect_close(values.mismatch.k3_sum, mismatch.k3_sum, "mismatch k3");
  EXPECT_EQ(values.mismatch.num_tokens, mismatch.num_tokens);
}

TEST(PolicyTensors, AreTheTwinOfTheSpansForEveryMethodAndKl) {
  const auto losses = all_losses();
  EXPECT_GT(losses.size(), 60u);
  for (const PolicyLossOptions& loss : losses) {
    expect_twin(loss, at::kCPU);
    expect_twin(loss, test::fake::device());
  }
}

TEST(PolicyTensors, GiveNoSumForALogprobThatIsNotFinite) {
  Arrays a;
  a.logp[11] = -INFINITY;
  PolicyTotals totals;
  const at::Tensor out = policy_coefficients(test::row(a.logp), a.tensors(at::kCPU), {}, totals);
  for (int64_t i = 0; i < kTokens; ++i) EXPECT_TRUE(std::isnan(out[i].item<float>())) << i;
  EXPECT_EQ(totals.values().sums.num_tokens, 0);
  EXPECT_EQ(totals.values().sums.loss, 0);
  EXPECT_EQ(totals.values().mismatch.max, 0);
}

TEST(PolicyTensors, MeasureAMismatchOnlyWhereLogprobsWereRecorded) {
  const Arrays a;
  PolicyTensors tokens = a.tensors(at::kCPU);
  tokens.recorded_logp.reset();
  PolicyTotals totals;
  EXPECT_EQ(totals.values().sums.num_tokens, 0);
  policy_coefficients(test::row(a.logp), tokens, {}, totals);
  EXPECT_EQ(totals.values().sums.num_tokens, kTokens);
  EXPECT_EQ(totals.values().mismatch.num_tokens, 0);
}

}  // namespace
}  // namespace weft
