#include "trainer/learn/update/optimizer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/error.h"
#include "tests/trainer/learn/update/learn_support.h"

namespace weft {
namespace {

using test::row;

struct Fixture {
  at::Tensor matrix, vector;
  std::vector<NamedParameter> parameters;

  explicit Fixture(at::ScalarType dtype = at::kFloat) {
    matrix = row({1, -2, 3, 4}).view({2, 2}).to(dtype);
    vector = row({.5f, -.5f}).to(dtype);
    parameters = {{"matrix", &matrix}, {"vector", &vector}};
  }
};

AdamWOptions options(double decay, double max_norm) {
  AdamWOptions o;
  o.beta1 = .9;
  o.beta2 = .99;
  o.weight_decay = decay;
  o.max_grad_norm = max_norm;
  return o;
}

void set_gradient(GradientBuffer& g, std::vector<float> values) { g.flat().copy_(row(values)); }

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
  AdamW optimizer(f.parameters, options(.5, 1e9));
  GradientBuffer g(f.parameters);
  set_gradient(g, {10, -10, .1f, -.1f, 7, -7});
  const auto result = optimizer.step(g, .1);
  EXPECT_TRUE(result.applied);
  EXPECT_NEAR(result.grad_norm, std::sqrt(298.02), 1e-4);
  const at::Tensor expected = row({.95f - .1f, -1.9f + .1f, 2.85f - .1f, 3.8f + .1f});
  EXPECT_LT(test::relative_error(f.matrix.flatten(), expected), 1e-6);
  EXPECT_LT(test::relative_error(f.vector, row({.4f, -.4f})), 1e-6);
}

TEST(AdamW, FollowsItsDefinitionOverTenSteps) {
  Fixture f;
  AdamW optimizer(f.parameters, options(.1, 1e9));
  GradientBuffer g(f.parameters);
  std::vector<Reference> reference = {{1}, {-2}, {3}, {4}, {.5}, {-.5}};
  Rng rng(4);
  for (int t = 0; t < 10; ++t) {
    std::vector<float> gradient;
    for (size_t i = 0; i < 6; ++i) {
      gradient.push_back(static_cast<float>(rng.normal()));
      reference[i].step(gradient[i], .05, i < 4 ? .1 : 0);
    }
    set_gradient(g, gradient);
    optimizer.step(g, .05);
  }
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_NEAR(f.matrix.flatten()[static_cast<int64_t>(i)].item<double>(), reference[i].w, 1e-6);
  }
  EXPECT_NEAR(f.vector[1].item<double>(), reference[5].w, 1e-6);
}

TEST(AdamW, ScalesGradientsDownToTheGlobalNorm) {
  Fixture clipped, scaled;
  AdamW a(clipped.parameters, options(0, 1)), b(scaled.parameters, options(0, 1e9));
  GradientBuffer ga(clipped.parameters), gb(scaled.parameters);
  for (int t = 0; t < 3; ++t) {
    set_gradient(ga, {3, 0, 0, 0, 0, 4});
    set_gradient(gb, {.6f, 0, 0, 0, 0, .8f});
    EXPECT_NEAR(a.step(ga, .1).grad_norm, 5, 1e-6);
    b.step(gb, .1);
  }
  EXPECT_LT(test::relative_error(clipped.matrix, scaled.matrix), 1e-6);
}

TEST(AdamW, SkipsAndCountsAStepThatIsNotFinite) {
  Fixture f;
  AdamW optimizer(f.parameters, options(.1, 1));
  GradientBuffer g(f.parameters);
  const at::Tensor before = f.matrix.clone();
  for (const float bad : {std::nanf(""), std::numeric_limits<float>::infinity()}) {
    set_gradient(g, {1, bad, 1, 1, 1, 1});
    EXPECT_FALSE(optimizer.step(g, .1).applied);
  }
  EXPECT_TRUE(f.matrix.equal(before));
  EXPECT_EQ(optimizer.num_skipped(), 2);
}

// A gradient within the bound has a square that fp32 holds.
TEST(AdamW, RefusesABoundOfTheNormThatFp32CannotSquare) {
  AdamWOptions o;
  for (const double good : {1e-3, 1e18}) {
    o.max_grad_norm = good;
    EXPECT_NO_THROW(o.validate()) << good;
  }
  for (const double bad : {0.0, -1.0, 1e19, std::nan(""), HUGE_VAL}) {
    o.max_grad_norm = bad;
    EXPECT_THROW(o.validate(), InputError) << bad;
  }
}

TEST(AdamW, KeepsMastersThatSmallStepsAddUpIn) {
  Fixture f(at::kBFloat16);
  AdamW optimizer(f.parameters, options(0, 1e9));
  GradientBuffer g(f.parameters);
  for (int t = 0; t < 64; ++t) {
    set_gradient(g, {1, 1, 1, 1, 1, 1});
    optimizer.step(g, 1e-4);  // below bf16's resolution at 4
  }
  EXPECT_EQ(f.matrix.scalar_type(), at::kBFloat16);
  EXPECT_NEAR(f.matrix[0][0].item<float>(), 1 - 64e-4, 4e-3);
  EXPECT_LT(f.matrix[0][0].item<float>(), 1);
}

TEST(AdamW, GoesOnBitForBitFromASavedState) {
  for (const auto dtype : {at::kFloat, at::kBFloat16}) {
    Fixture straight(dtype), first(dtype), second(dtype);
    AdamW a(straight.parameters, options(.1, 1)), b(first.parameters, options(.1, 1));
    GradientBuffer ga(straight.parameters), gb(first.parameters), gc(second.parameters);
    const std::vector<float> gradient = {1, -2, 3, .5f, 0, -1};
    const auto run = [&](AdamW& optimizer, GradientBuffer& g, int steps) {
      for (int t = 0; t < steps; ++t) {
        set_gradient(g, gradient);
        optimizer.step(g, .01);
      }
    };
    run(a, ga, 6);
    run(b, gb, 4);
    AdamW c(second.parameters, options(.1, 1));
    second.matrix.copy_(first.matrix);
    second.vector.copy_(first.vector);
    c.load_state([&](const std::string& name) {
      for (const auto& [key, tensor] : b.state()) {
        if (key == name) return tensor.clone();
      }
      return at::Tensor();
    });
    run(c, gc, 2);
    EXPECT_TRUE(second.matrix.equal(straight.matrix));
    EXPECT_TRUE(second.vector.equal(straight.vector));
  }
}

}  // namespace
}  // namespace weft
