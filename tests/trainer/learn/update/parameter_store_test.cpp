#include "trainer/learn/update/parameter_store.h"

#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/trainer/learn/update/learn_support.h"
#include "trainer/learn/update/learner.h"

namespace weft {
namespace {

TEST(ParameterStore, LaysParametersOutOnBoundariesThatRanksCanDivide) {
  at::Tensor a = at::zeros({3, 5}), b = at::zeros({7}), c = at::zeros({2, 2});
  const std::vector<std::vector<NamedParameter>> layers = {{{"a", &a}, {"b", &b}}, {{"c", &c}}};
  StoreLayout layout;
  layout.alignment = 8;
  layout.num_ranks = 3;
  ParameterStore store(layers, layout);
  EXPECT_EQ(store.parameters(0)[1].offset, 16);
  EXPECT_EQ(store.padded_size(0), 24);
  EXPECT_EQ(store.padded_size(1), 24);
  EXPECT_EQ(store.flat_gradient().numel(), 48);
  EXPECT_TRUE(store.parameters(0)[0].decays);
  EXPECT_FALSE(store.parameters(0)[1].decays);
  store.gradient(0, 0).fill_(1);
  store.gradient(0, 1).fill_(2);
  store.gradient(1, 0).fill_(3);
  EXPECT_EQ(store.flat_gradient().sum().item<double>(), 15 + 14 + 12);
  EXPECT_EQ(store.flat_gradient()[16].item<double>(), 2);
  EXPECT_EQ(store.flat_gradient()[24].item<double>(), 3);
}

TEST(ParameterStore, FindsWeightsThatLieEndToEnd) {
  const auto model = test::tiny_model();
  std::vector<NamedParameter> apart = model->global_parameters();
  ParameterStore store({model->layer_parameters(0), apart});
  ASSERT_TRUE(store.flat_weights(0).defined());
  EXPECT_EQ(store.flat_weights(0).data_ptr(), model->layer(0).flat.data_ptr());
  EXPECT_EQ(store.flat_weights(0).numel(), model->layer(0).flat.numel());
  EXPECT_FALSE(store.flat_weights(1).defined());
}

TEST(ParameterStore, FreesGradientsByLayer) {
  at::Tensor a = at::zeros({4}), b = at::zeros({2});
  StoreLayout layout;
  layout.gradients_by_layer = true;
  ParameterStore store({{{"a", &a}}, {{"b", &b}}}, layout);
  store.gradient(0, 0).fill_(std::nanf(""));
  EXPECT_EQ(store.non_finite_gradient(), "a");
  store.release_gradient(0);
  EXPECT_EQ(store.non_finite_gradient(), "");
  EXPECT_EQ(store.gradient(0).sum().item<double>(), 0);
}

/// What a hook was called for, in order.
class Recorder : public LayerHooks {
 public:
  void gather(size_t layer) override { add('g', layer); }
  void release(size_t layer) override { add('r', layer); }
  void notify(size_t layer) override { add('n', layer); }
  std::string calls;

 private:
  void add(char what, size_t layer) { calls += what + std::to_string(layer) + " "; }
};

// Three layers and what is outside of them, with every layer kept or computed again.
TEST(ParameterStore, HooksEncloseEachPassOfALayer) {
  const auto sequences = test::random_sequences(2, 5, 1);
  for (const int64_t kept : {-1, 0}) {
    const auto model = test::tiny_model();
    LayerwiseTrainer trainer(*model, nullptr, {kept});
    ParameterStore store(trainer.layers());
    Recorder recorder;
    store.set_hooks(&recorder);
    LoggedSum loss;
    for (const auto& microbatch : pack(sequences, {})) {
      trainer.forward_backward(microbatch, supervised_loss(1, loss)(microbatch), store);
    }
    EXPECT_EQ(recorder.calls, "g3 g0 r0 g1 r1 g2 r2 g2 r2 n2 g1 r1 n1 g0 r0 n0 r3 n3 ");
  }
}

}  // namespace
}  // namespace weft
