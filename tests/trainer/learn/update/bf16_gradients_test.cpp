// Gradients in bf16: what they cost in exactness, and what they do not.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "tests/support/input_error.h"
#include "tests/trainer/learn/update/learn_support.h"
#include "trainer/learn/update/learner.h"

namespace weft {
namespace {

using testing::HasSubstr;

LearnOptions options_with(bool bf16_gradients, OptimizerKind kind = OptimizerKind::kAdamWBf16) {
  LearnOptions options;
  options.full_weights = true;
  options.optimizer.kind = kind;
  options.optimizer.fp32_masters = false;
  options.optimizer.bf16_gradients = bf16_gradients;
  options.optimizer.adamw.max_grad_norm = 0;
  return options;
}

std::shared_ptr<Transformer> model() {
  return Transformer::random(test::tiny_config(/*tied=*/false), at::kBFloat16, 11, 0.2);
}

std::vector<TrainSequence> sequences() { return test::random_sequences(8, 5, 2); }

/// After one pass over `microbatches` microbatches.
ParameterStore gradients(Transformer& model, bool bf16, int64_t tokens_per_microbatch) {
  LayerwiseTrainer trainer(model, nullptr, {});
  ParameterStore store(trainer.layers(), store_layout(options_with(bf16).optimizer));
  LoggedSum loss;
  const MicrobatchLoss supervised = supervised_loss(50, loss);
  for (const Microbatch& m : pack(sequences(), {tokens_per_microbatch, true})) {
    trainer.forward_backward(m, supervised(m), store);
  }
  return store;
}

at::Tensor wide(const at::Tensor& t) { return t.detach().to(at::kFloat); }

// Autograd gives bf16 for bf16 weights: the first microbatch is stored as it is. An embedding's
// rows are summed in fp32 and rounded once.
TEST(Bf16Gradients, HoldOneMicrobatchAsFp32OnesDo) {
  const auto m = model();
  ParameterStore exact = gradients(*m, false, 4096), shorter = gradients(*m, true, 4096);
  EXPECT_EQ(shorter.gradient_dtype(), at::kBFloat16);
  EXPECT_EQ(shorter.flat_gradient().nbytes() * 2, exact.flat_gradient().nbytes());
  for (size_t l = 0; l < exact.num_layers(); ++l) {
    for (size_t i = 0; i < exact.parameters(l).size(); ++i) {
      const std::string& name = exact.parameters(l)[i].name;
      EXPECT_TRUE(wide(shorter.gradient(l, i)).equal(wide(exact.gradient(l, i).to(at::kBFloat16))))
          << name;
    }
  }
}

// Each further microbatch, and each chunk of the head, rounds the sum to 2^-9 of itself.
TEST(Bf16Gradients, RoundTheSumOnceForEachMicrobatch) {
  const auto m = model();
  ParameterStore exact = gradients(*m, false, 32), shorter = gradients(*m, true, 32);
  const auto count = static_cast<double>(pack(sequences(), {32, true}).size());
  ASSERT_GE(count, 2);
  const double error = test::relative_error(wide(shorter.flat_gradient()), exact.flat_gradient());
  EXPECT_GT(error, 0);
  EXPECT_LT(error, count * 0x1p-9);
}

std::vector<at::Tensor> trained(const LearnOptions& options) {
  const auto m = model();
  Learner learner(m, nullptr, options);
  for (int step = 0; step < 3; ++step) {
    LoggedSum loss;
    EXPECT_TRUE(learner.update(sequences(), supervised_loss(50, loss), 1e-2).applied);
  }
  std::vector<at::Tensor> weights;
  for (const auto& p : m->parameters()) weights.push_back(wide(*p.tensor));
  return weights;
}

// Of one microbatch a step only the embedding's gradient is rounded.
TEST(Bf16Gradients, TrainEveryOptimizersWeights) {
  for (const auto& [kind, name] : enum_table(OptimizerKind{})) {
    for (const double clip : {0.0, 1e-3}) {
      LearnOptions shorter = options_with(true, kind), exact = options_with(false, kind);
      shorter.optimizer.adamw.max_grad_norm = exact.optimizer.adamw.max_grad_norm = clip;
      const auto got = trained(shorter), expected = trained(exact);
      for (size_t i = 0; i < got.size(); ++i) {
        EXPECT_LT(test::relative_error(got[i], expected[i]), 0.01) << name << " " << i;
      }
    }
  }
}

TEST(Bf16Gradients, AreFreedLayerByLayerToo) {
  LearnOptions options = options_with(true);
  const auto whole = trained(options);
  options.optimizer.in_backward = true;
  const auto by_layer = trained(options);
  for (size_t i = 0; i < whole.size(); ++i) EXPECT_TRUE(whole[i].equal(by_layer[i])) << i;
}

TEST(Bf16Gradients, AreRefusedBesideMastersAndForAnAdapter) {
  LearnOptions options = options_with(true);
  EXPECT_EQ(test::input_error([&] { options.validate(); }), "no error");
  options.optimizer.fp32_masters = true;
  EXPECT_THAT(test::input_error([&] { options.validate(); }), HasSubstr("bf16_gradients"));
  options.optimizer.fp32_masters = false;
  options.full_weights = false;
  EXPECT_THAT(test::input_error([&] { options.validate(); }), HasSubstr("bf16_gradients"));
}

}  // namespace
}  // namespace weft
