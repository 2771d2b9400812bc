// What the host waits for inside a training step on a device. On the fake device, which counts.
#include <gtest/gtest.h>

#include <map>

#include "model/ops/cuda/cuda_ops.h"
#include "model/ops/tensor_device.h"
#include "tests/support/fake_device/fake_gpu.h"
#include "tests/support/gpu_under_test.h"
#include "tests/trainer/learn/grpo/policy_bench.h"
#include "trainer/learn/grpo/method.h"

namespace weft {
namespace {

using Waits = std::map<std::string, int64_t>;

constexpr const char* kNumber = "aten::_local_scalar_dense";  // a value of the device
constexpr const char* kCopy = "a copy to the host";

/// What `f` waits for.
template <class F>
Waits waits_of(F&& f) {
  const Waits before = test::fake::FakeGpu::get().host_waits();
  f();
  Waits waits = test::fake::FakeGpu::get().host_waits();
  for (const auto& [who, count] : before) waits[who] -= count;
  std::erase_if(waits, [](const auto& wait) { return wait.second == 0; });
  return waits;
}

class StepWaits : public testing::Test {
 protected:
  void SetUp() override { ops::install_cuda_forms(test::the_gpu().device); }
  const at::Device device_ = tensor_device(test::the_gpu().device);

  Learner learner(const LearnOptions& options, at::ScalarType dtype, bool entropy = false) {
    const std::shared_ptr<Transformer> model =
        Transformer::random(test::tiny_config(), dtype, 11, 0.2);
    const auto lora = options.full_weights ? nullptr : test::fresh_lora(model->config());
    model->to(device_);
    if (lora) lora->to(device_);
    return Learner(model, lora, options, entropy);
  }
};

/// Several microbatches of several chunks each.
LearnOptions small_parts() {
  LearnOptions options;
  options.tokens_per_microbatch = 32;
  options.loss_chunk_tokens = 8;
  return options;
}

// The norm of all gradients, and afterwards the loss for the log.
TEST_F(StepWaits, SupervisedStepsWaitForTheNormAndTheLoss) {
  const auto sequences = test::random_sequences(6, 77, 2);
  for (const auto kind : {OptimizerKind::kAdamW, OptimizerKind::kAdamWBf16,
                          OptimizerKind::kAdamW8bit, OptimizerKind::kMuon}) {
    LearnOptions options = small_parts();
    options.full_weights = true;
    options.optimizer.kind = kind;
    options.keep_activations_layers = 1;
    Learner l = learner(options, at::kBFloat16);
    LoggedSum loss;
    const auto step = [&] {
      const UpdateResult result = l.update(sequences, supervised_loss(100, loss), 1e-3);
      EXPECT_TRUE(result.applied);
      EXPECT_GT(result.num_microbatches, 1);
    };
    EXPECT_EQ(waits_of(step), (Waits{{kNumber, 1}})) << static_cast<int>(kind);
    EXPECT_EQ(waits_of([&] { EXPECT_GT(loss.value(), 0); }), (Waits{{kCopy, 1}}));
  }
}

TEST_F(StepWaits, WeightsOfExamplesAndAnAdapterAddNoWait) {
  auto sequences = test::random_sequences(6, 77, 2);
  for (auto& s : sequences) s.weight = 0.5;
  Learner l = learner(small_parts(), at::kBFloat16);
  LoggedSum loss;
  const auto step = [&] { l.update(sequences, supervised_loss(50, loss), 1e-3); };
  EXPECT_EQ(waits_of(step), (Waits{{kNumber, 1}}));
}

TEST_F(StepWaits, AnUpdateInBackwardWaitsForTheNormOfEachLayer) {
  LearnOptions options = small_parts();
  options.full_weights = true;
  options.optimizer.in_backward = true;
  options.optimizer.adamw.max_grad_norm = 0;
  Learner l = learner(options, at::kFloat);
  LoggedSum loss;
  const auto sequences = test::random_sequences(6, 77, 2);
  EXPECT_EQ(waits_of([&] { l.update(sequences, supervised_loss(50, loss), 1e-3); }),
            (Waits{{kNumber, 3 + 1}}));
}

// The norm; for the log the sums of the loss and the entropy. What is computed once before the
// update is copied to the host once: the logprobs of the reference, those of the learner for a
// correction, those of the ratio over a sequence where there is no correction.
TEST_F(StepWaits, PolicyUpdatesWaitForTheNormAndTheLoggedSumsAndOncePerSetOfLogprobs) {
  for (const auto& [method, name] : enum_table(PolicyMethod{})) {
    for (const bool corrects : {false, true}) {
      if (corrects && method != PolicyMethod::kGrpo && method != PolicyMethod::kGspo) continue;
      PolicyUpdateOptions options;
      int64_t refill_rounds = 0;
      apply_method(method, options, refill_rounds);
      options.max_completion_tokens = 32;
      options.loss.kl_coefficient = 0.01;
      options.correction.token_cap = corrects ? 2 : 0;
      const LearnOptions learn = small_parts();
      Learner l = learner(learn, at::kFloat, /*entropy=*/true);
      test::Bench on_host(true, learn);
      std::vector<Episode> episodes = on_host.episodes();
      episodes.resize(6);
      PolicyUpdateResult result;
      const Waits waits = waits_of([&] {
        result = update_policy(l, episodes, {Reference::Kind::kAdapter, nullptr, nullptr}, 1e-3,
                               options);
      });
      EXPECT_EQ(result.num_updates, 1) << name;
      const bool asks_for_ratios = options.loss.ratio == RatioLevel::kSequence && !corrects;
      EXPECT_EQ(waits, (Waits{{kNumber, 1}, {kCopy, 2 + 1 + (corrects ? 1 : 0) + asks_for_ratios}}))
          << name;
    }
  }
}

// The same update on the CPU and on the device.
TEST_F(StepWaits, PolicyUpdatesAreTheCpus) {
  for (const auto& [method, name] : enum_table(PolicyMethod{})) {
    PolicyUpdateOptions options;
    int64_t refill_rounds = 0;
    apply_method(method, options, refill_rounds);
    options.max_completion_tokens = 32;
    options.loss.kl_coefficient = 0.01;
    const LearnOptions learn = small_parts();
    test::Bench cpu(true, learn);
    std::vector<Episode> episodes = cpu.episodes();
    episodes.resize(6);
    for (Episode& e : episodes) e.reward *= e.reward;  // no advantage near 0
    Learner gpu = learner(learn, at::kFloat, /*entropy=*/true);
    const auto expected = update_policy(cpu.learner, episodes, cpu.base, 1e-3, options);
    const auto got = update_policy(gpu, episodes, cpu.base, 1e-3, options);
    const auto near = [&](double a, double b, const char* what) {
      EXPECT_NEAR(a, b, 1e-4 * std::abs(b) + 1e-6) << name << " " << what;
    };
    EXPECT_EQ(got.num_updates, expected.num_updates);
    EXPECT_EQ(got.sums.num_tokens, expected.sums.num_tokens);
    near(got.sums.loss, expected.sums.loss, "loss");
    near(got.sums.kl, expected.sums.kl, "kl");
    near(got.entropy_sum, expected.entropy_sum, "entropy");
    near(got.grad_norm, expected.grad_norm, "norm");
    EXPECT_EQ(got.mismatch.num_tokens, expected.mismatch.num_tokens);
    EXPECT_LT(got.mismatch.max, 1e-5);
  }
}

}  // namespace
}  // namespace weft
