#include "trainer/learn/update/optimizer.h"

#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/error.h"
#include "tests/trainer/learn/update/learn_support.h"

namespace weft {
namespace {

using test::row;

/// A matrix and a vector, in one layer.
struct Fixture {
  at::Tensor matrix, vector;
  std::unique_ptr<ParameterStore> store;

  explicit Fixture(at::ScalarType dtype = at::kFloat) {
    matrix = row({1, -2, 3, 4}).view({2, 2}).to(dtype);
    vector = row({.5f, -.5f}).to(dtype);
    store = std::make_unique<ParameterStore>(
        std::vector<std::vector<NamedParameter>>{{{"matrix", &matrix}, {"vector", &vector}}});
  }
  void set_gradient(const std::vector<float>& values) const {
    store->flat_gradient().copy_(row(values));
  }
};

OptimizerOptions options(double decay, double max_norm) {
  OptimizerOptions o;
  o.adamw.beta1 = .9;
  o.adamw.beta2 = .99;
  o.adamw.weight_decay = decay;
  o.adamw.max_grad_norm = max_norm;
  return o;
}

std::map<std::string, at::Tensor> saved_by(const Optimizer& optimizer) {
  std::map<std::string, at::Tensor> saved;
  for (const auto& [name, tensor] : optimizer.state()) saved[name] = tensor.clone();
  return saved;
}

/// AdamW by its definition, in double, for one weight.
struct Reference {
  double w, m = 0, v = 0;
  int t = 0;
  void step(double g, double lr, double decay) {
    ++t;
    m = .9 * m + .1 * g;
    v = .99 * v + .01 * g * g;
    w = (1 - lr * decay) * w -
        lr * (m / (1 - std::pow(.9, t))) / (std::sqrt(v / (1 - std::pow(.99, t))) + 1e-8);
  }
};

// After one step from zero moments the update is lr * sign(g), whatever g's size; the matrix is
// decayed by lr * wd first, the vector is not.
TEST(AdamW, FirstStepMovesByTheLearningRate) {
  Fixture f;
  Optimizer optimizer(*f.store, options(.5, 1e9));
  f.set_gradient({10, -10, .1f, -.1f, 7, -7});
  const auto result = optimizer.step(.1);
  EXPECT_TRUE(result.applied);
  EXPECT_NEAR(result.grad_norm, std::sqrt(298.02), 1e-4);
  const at::Tensor expected = row({.95f - .1f, -1.9f + .1f, 2.85f - .1f, 3.8f + .1f});
  EXPECT_LT(test::relative_error(f.matrix.flatten(), expected), 1e-6);
  EXPECT_LT(test::relative_error(f.vector, row({.4f, -.4f})), 1e-6);
}

TEST(AdamW, FollowsItsDefinitionOverTenSteps) {
  Fixture f;
  Optimizer optimizer(*f.store, options(.1, 1e9));
  std::vector<Reference> reference = {{1}, {-2}, {3}, {4}, {.5}, {-.5}};
  Rng rng(4);
  for (int t = 0; t < 10; ++t) {
    std::vector<float> gradient;
    for (size_t i = 0; i < 6; ++i) {
      gradient.push_back(static_cast<float>(rng.normal()));
      reference[i].step(gradient[i], .05, i < 4 ? .1 : 0);
    }
    f.set_gradient(gradient);
    optimizer.step(.05);
  }
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_NEAR(f.matrix.flatten()[static_cast<int64_t>(i)].item<double>(), reference[i].w, 1e-6);
  }
  EXPECT_NEAR(f.vector[1].item<double>(), reference[5].w, 1e-6);
}

TEST(AdamW, ScalesGradientsDownToTheGlobalNorm) {
  Fixture clipped, scaled;
  Optimizer a(*clipped.store, options(0, 1)), b(*scaled.store, options(0, 0));
  for (int t = 0; t < 3; ++t) {
    clipped.set_gradient({3, 0, 0, 0, 0, 4});
    scaled.set_gradient({.6f, 0, 0, 0, 0, .8f});
    EXPECT_NEAR(a.step(.1).grad_norm, 5, 1e-6);
    b.step(.1);
  }
  EXPECT_LT(test::relative_error(clipped.matrix, scaled.matrix), 1e-6);
}

TEST(AdamW, SkipsAndCountsAStepThatIsNotFiniteAndNamesTheTensor) {
  Fixture f;
  Optimizer optimizer(*f.store, options(.1, 1));
  const at::Tensor before = f.matrix.clone();
  for (const float bad : {std::nanf(""), std::numeric_limits<float>::infinity()}) {
    f.set_gradient({1, 1, 1, 1, 1, bad});
    const StepResult result = optimizer.step(.1);
    EXPECT_FALSE(result.applied);
    EXPECT_EQ(result.non_finite, "vector");
  }
  EXPECT_TRUE(f.matrix.equal(before));
  EXPECT_EQ(optimizer.num_skipped(), 2);
  EXPECT_EQ(optimizer.num_updates(), 0);
}

// A gradient within the bound has a square that fp32 holds.
TEST(AdamW, RefusesABoundOfTheNormThatFp32CannotSquare) {
  AdamWOptions o;
  for (const double good : {0.0, 1e-3, 1e18}) {
    o.max_grad_norm = good;
    EXPECT_NO_THROW(o.validate()) << good;
  }
  for (const double bad : {-1.0, 1e19, std::nan(""), HUGE_VAL}) {
    o.max_grad_norm = bad;
    EXPECT_THROW(o.validate(), InputError) << bad;
  }
}

TEST(AdamW, KeepsMastersThatSmallStepsAddUpIn) {
  Fixture f(at::kBFloat16);
  Optimizer optimizer(*f.store, options(0, 1e9));
  for (int t = 0; t < 64; ++t) {
    f.set_gradient({1, 1, 1, 1, 1, 1});
    optimizer.step(1e-4);  // below bf16's resolution at 4
  }
  EXPECT_EQ(f.matrix.scalar_type(), at::kBFloat16);
  EXPECT_NEAR(f.matrix[0][0].item<float>(), 1 - 64e-4, 4e-3);
  EXPECT_LT(f.matrix[0][0].item<float>(), 1);
}

TEST(AdamW, ReadsAStateOfAllParametersInOneTensor) {
  for (const auto dtype : {at::kFloat, at::kBFloat16}) {
    Fixture straight(dtype), second(dtype);
    Optimizer a(*straight.store, options(.1, 1)), b(*second.store, options(.1, 1));
    straight.set_gradient({1, -2, 3, .5f, 0, -1});
    for (int t = 0; t < 4; ++t) a.step(.01);
    second.matrix.copy_(straight.matrix);
    second.vector.copy_(straight.vector);
    auto saved = saved_by(a);
    const auto flat = [&](const std::string& prefix) {
      const at::Tensor all = at::empty({6}, at::kFloat);
      all.narrow(0, 0, 4).copy_(saved.at(prefix + "matrix").flatten());
      all.narrow(0, 4, 2).copy_(saved.at(prefix + "vector"));
      return all;
    };
    std::map<std::string, at::Tensor> old = {{"mean", flat("exp_avg.")},
                                             {"square", flat("exp_avg_sq.")},
                                             {"counters", saved.at("counters")}};
    if (dtype == at::kBFloat16) old["masters"] = flat("master.");
    b.load_state(old, "");
    for (Fixture* f : {&straight, &second}) f->set_gradient({1, -2, 3, .5f, 0, -1});
    a.step(.01);
    b.step(.01);
    EXPECT_TRUE(second.matrix.equal(straight.matrix));
    EXPECT_EQ(b.num_updates(), 5);
    old["mean"] = at::zeros({7}, at::kFloat);
    EXPECT_THAT([&] { b.load_state(old, ""); },
                testing::ThrowsMessage<InputError>(
                    testing::HasSubstr("\"mean\": expected 6 values, got 7")));
  }
}

}  // namespace
}  // namespace weft
