// What holds for every optimizer, and what tells them apart.
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <map>

#include "base/error.h"
#include "tests/trainer/learn/update/learn_support.h"
#include "trainer/learn/update/learner.h"

namespace weft {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

struct Kind {
  OptimizerKind kind;
  at::ScalarType dtype;
  std::optional<bool> masters;
};

OptimizerOptions options_of(const Kind& kind) {
  OptimizerOptions o;
  o.kind = kind.kind;
  o.fp32_masters = kind.masters;
  o.adamw.weight_decay = .01;
  o.seed = 9;
  return o;
}

/// Two layers of a matrix of two and a half blocks and a vector, and a matrix outside of layers.
struct Subject {
  std::vector<at::Tensor> tensors;
  std::unique_ptr<ParameterStore> store;
  std::unique_ptr<Optimizer> optimizer;

  explicit Subject(const Kind& kind) {
    Rng rng(12);
    for (const auto& shape :
         {std::vector<int64_t>{20, 32}, {7}, {20, 32}, {7}, std::vector<int64_t>{5, 9}}) {
      tensors.push_back(test::random_tensor(shape, rng).to(kind.dtype));
    }
    const StoreLayout layout{kind.kind == OptimizerKind::kAdamW8bit ? kQuantizationBlock : 1};
    store = std::make_unique<ParameterStore>(
        std::vector<std::vector<NamedParameter>>{
            {{"layers.0.up.weight", &tensors[0]}, {"layers.0.norm", &tensors[1]}},
            {{"layers.1.up.weight", &tensors[2]}, {"layers.1.norm", &tensors[3]}},
            {{"embed.weight", &tensors[4]}}},
        layout);
    optimizer = std::make_unique<Optimizer>(*store, options_of(kind));
  }

  /// Steps of gradients that are functions of the step.
  void run(int first, int last) const {
    for (int t = first; t < last; ++t) {
      Rng rng(100 + static_cast<uint64_t>(t));
      for (size_t l = 0; l < store->num_layers(); ++l) {
        for (size_t i = 0; i < store->parameters(l).size(); ++i) {
          at::Tensor& gradient = store->gradient(l, i);
          gradient.copy_(test::random_tensor(gradient.sizes().vec(), rng));
        }
      }
      EXPECT_TRUE(optimizer->step(.01).applied);
    }
  }

  bool same_weights(const Subject& other) const {
    for (size_t i = 0; i < tensors.size(); ++i) {
      if (!tensors[i].equal(other.tensors[i])) return false;
    }
    return true;
  }

  std::map<std::string, at::Tensor> saved() const {
    std::map<std::string, at::Tensor> result;
    for (const auto& [name, tensor] : optimizer->state()) result[name] = tensor.clone();
    return result;
  }
};

class EachOptimizer : public testing::TestWithParam<Kind> {};

TEST_P(EachOptimizer, GoesOnBitForBitFromASavedState) {
  const Subject straight(GetParam()), first(GetParam()), second(GetParam());
  straight.run(0, 6);
  first.run(0, 4);
  for (size_t i = 0; i < first.tensors.size(); ++i) second.tensors[i].copy_(first.tensors[i]);
  second.optimizer->load_state(first.saved(), first.optimizer->kind_name());
  second.run(4, 6);
  EXPECT_TRUE(second.same_weights(straight));
  const auto left = straight.saved(), right = second.saved();
  ASSERT_EQ(left.size(), right.size());
  for (const auto& [name, tensor] : left) EXPECT_TRUE(tensor.equal(right.at(name))) << name;
}

TEST_P(EachOptimizer, HasTheSameBitsWithAnyNumberOfThreads) {
  const Subject many(GetParam()), one(GetParam());
  const int threads = at::get_num_threads();
  at::set_num_threads(2);
  many.run(0, 3);
  at::set_num_threads(1);
  one.run(0, 3);
  at::set_num_threads(threads);
  EXPECT_TRUE(one.same_weights(many));
}

TEST_P(EachOptimizer, KeepsItsStatesInTheBytesOfItsForm) {
  const Subject s(GetParam());
  const int64_t matrices = 2 * 640, rest = 2 * 7 + 45, all = matrices + rest;
  const int64_t scales = 4 * (2 * 3 + 2 + 1);  // for 256 values each
  const std::map<OptimizerKind, int64_t> states = {{OptimizerKind::kAdamW, 8 * all},
                                                   {OptimizerKind::kAdamWBf16, 4 * all},
                                                   {OptimizerKind::kAdamW8bit, 2 * (all + scales)},
                                                   {OptimizerKind::kMuon, 4 * matrices + 8 * rest}};
  const bool masters = GetParam().dtype != at::kFloat && options_of(GetParam()).has_masters();
  EXPECT_EQ(s.optimizer->state_bytes(), states.at(GetParam().kind));
  int64_t padded = 0;
  for (size_t l = 0; l < s.store->num_layers(); ++l) padded += s.store->padded_size(l);
  EXPECT_EQ(s.optimizer->master_bytes(), masters ? 4 * padded : 0);
}

TEST_P(EachOptimizer, NamesWhatIsWrongWithASavedState) {
  const Subject s(GetParam());
  const auto load = [&](const std::function<void(std::map<std::string, at::Tensor>&)>& change,
                        const std::string& kind) {
    auto saved = s.saved();
    change(saved);
    s.optimizer->load_state(std::move(saved), kind);
  };
  const std::string kind = s.optimizer->kind_name();
  EXPECT_THAT([&] { load([](auto&) {}, "sgd"); }, ThrowsMessage<InputError>(HasSubstr("\"sgd\"")));
  EXPECT_THAT([&] { load([](auto& saved) { saved.erase("exp_avg.embed.weight"); }, kind); },
              ThrowsMessage<InputError>(HasSubstr("\"exp_avg.embed.weight\" is missing")));
  EXPECT_THAT([&] { load([](auto& saved) { saved["more"] = at::zeros({1}); }, kind); },
              ThrowsMessage<InputError>(HasSubstr("\"more\" has no place")));
  EXPECT_THAT(
      [&] {
        load([](auto& saved) { saved["exp_avg.embed.weight"] = at::zeros({9, 5}); }, kind);
      },
      ThrowsMessage<InputError>(HasSubstr("expected shape [5, 9], got [9, 5]")));
}

// Half the squared distance to a target, with curvatures of 1 to 100. Without masters a weight of
// about 1 has steps of 2^-8 to 2^-7, which is what is left. Muon moves each singular value by the
// same: far enough for that of the mean.
TEST_P(EachOptimizer, FindsTheLowestPointOfAQuadratic) {
  const Subject s(GetParam());
  const auto loss = [&](bool fill) {
    double sum = 0;
    for (size_t l = 0; l < s.store->num_layers(); ++l) {
      for (size_t i = 0; i < s.store->parameters(l).size(); ++i) {
        at::Tensor& gradient = s.store->gradient(l, i);
        const at::Tensor apart = s.store->parameters(l)[i].tensor->to(at::kFloat) - 1;
        const double curvature = std::pow(10, double(l));
        sum += curvature * apart.square().sum().item<double>() / 2;
        if (fill) gradient.copy_(apart * curvature);
      }
    }
    return sum;
  };
  const double before = loss(false), lr = GetParam().kind == OptimizerKind::kMuon ? .2 : .05;
  for (int t = 0; t < 400; ++t) {
    loss(true);
    s.optimizer->step(lr * (400 - t) / 400);
  }
  EXPECT_LT(loss(false), 1e-3 * before);
}

INSTANTIATE_TEST_SUITE_P(Kinds, EachOptimizer,
                         testing::Values(Kind{OptimizerKind::kAdamW, at::kFloat, {}},
                                         Kind{OptimizerKind::kAdamW, at::kBFloat16, {}},
                                         Kind{OptimizerKind::kAdamW, at::kBFloat16, false},
                                         Kind{OptimizerKind::kAdamWBf16, at::kBFloat16, {}},
                                         Kind{OptimizerKind::kAdamWBf16, at::kFloat, {}},
                                         Kind{OptimizerKind::kAdamW8bit, at::kBFloat16, {}},
                                         Kind{OptimizerKind::kAdamW8bit, at::kBFloat16, true},
                                         Kind{OptimizerKind::kMuon, at::kFloat, {}},
                                         Kind{OptimizerKind::kMuon, at::kBFloat16, false}),
                         [](const auto& info) {
                           const Kind& k = info.param;
                           std::string name = Subject(k).optimizer->kind_name();
                           name += k.dtype == at::kFloat ? "_f32" : "_bf16";
                           if (k.masters) name += *k.masters ? "_masters" : "_none";
                           return name;
                         });

// A step is far below the weights' resolution: rounded to nearest, nothing would ever move. 2,000
// weights of 1 lose 64 steps of 1e-4; the mean's standard deviation is below 2^-8 sqrt(64 / 2000).
TEST(Optimizer, WithoutMastersMovesByTheStepOnAverage) {
  at::Tensor weights = at::zeros({40, 50}, at::kBFloat16).fill_(1);
  ParameterStore store({{{"matrix", &weights}}});
  OptimizerOptions options;
  options.kind = OptimizerKind::kAdamWBf16;
  Optimizer optimizer(store, options);
  for (int t = 0; t < 64; ++t) {
    store.flat_gradient().fill_(1);
    optimizer.step(1e-4);
  }
  EXPECT_NEAR(weights.to(at::kFloat).mean().item<double>(), 1 - 64e-4,
              5 * 0x1p-8 * std::sqrt(64.0 / 2000));
  EXPECT_LT(weights.to(at::kFloat).mean().item<double>(), 1 - 32e-4);
}

TEST(Optimizer, GivesGroupsTheirRateAndDecay) {
  at::Tensor a = at::zeros({2, 2}).fill_(1), b = a.clone(), c = a.clone();
  ParameterStore store({{{"layers.0.a", &a}, {"layers.0.b", &b}}, {{"c", &c}}});
  OptimizerOptions options;
  options.groups = {{{"pattern", "layers.*.b"}, {"lr_scale", 0}},
                    {{"pattern", "c"}, {"lr_scale", 10}, {"weight_decay", .5}}};
  Optimizer optimizer(store, options);
  store.flat_gradient().fill_(1);
  optimizer.step(.01);
  EXPECT_NEAR(a[0][0].item<double>(), .99, 1e-6);
  EXPECT_EQ(b[0][0].item<double>(), 1);
  EXPECT_NEAR(c[0][0].item<double>(), .95 - .1, 1e-6);
  options.groups = {{{"pattern", "layers.*.weight"}}};
  EXPECT_THAT([&] { Optimizer(store, options); },
              ThrowsMessage<InputError>(
                  HasSubstr("\"layers.*.weight\" fits no trained parameter; one is called")));
}

TEST(Optimizer, PatternsStandForAnyText) {
  EXPECT_TRUE(matches_pattern("layers.*.qkv.*", "layers.11.qkv.weight"));
  EXPECT_TRUE(matches_pattern("*", ""));
  EXPECT_TRUE(matches_pattern("*norm*", "layers.0.q_norm.weight"));
  EXPECT_FALSE(matches_pattern("layers.1.*", "layers.11.qkv.weight"));
  EXPECT_FALSE(matches_pattern("embed", "embed.weight"));
}

double loss_after(const LearnOptions& options, int steps) {
  const auto sequences = test::random_sequences(8, 5, 2);
  int64_t tokens = 0;
  for (const auto& s : sequences) tokens += static_cast<int64_t>(s.completion_ids.size());
  Learner learner(Transformer::random(test::tiny_config(), at::kBFloat16, 11, 0.2), nullptr,
                  options);
  double loss = 0;
  for (int step = 0; step < steps; ++step) {
    LoggedSum sum;
    learner.update(sequences, supervised_loss(tokens, sum), 5e-3);
    loss = sum.value();
  }
  return loss / static_cast<double>(tokens);
}

TEST(Optimizer, EveryKindLearnsATinyModelAsAdamWWithMastersDoes) {
  LearnOptions options;
  options.full_weights = true;
  const double start = loss_after(options, 1), expected = loss_after(options, 40);
  ASSERT_LT(expected, .5 * start);
  for (const auto kind :
       {OptimizerKind::kAdamWBf16, OptimizerKind::kAdamW8bit, OptimizerKind::kMuon}) {
    options.optimizer.kind = kind;
    EXPECT_LT(loss_after(options, 40), expected + .1 * (start - expected)) << int(kind);
  }
}

/// Weights after three steps of several microbatches.
std::vector<at::Tensor> trained(bool in_backward, bool tied, OptimizerKind kind) {
  LearnOptions options;
  options.full_weights = true;
  options.tokens_per_microbatch = 40;
  options.optimizer.kind = kind;
  options.optimizer.adamw.max_grad_norm = 0;
  options.optimizer.in_backward = in_backward;
  const auto model = test::tiny_model(tied);
  Learner learner(model, nullptr, options);
  const auto sequences = test::random_sequences(8, 5, 2);
  for (int step = 0; step < 3; ++step) {
    LoggedSum loss;
    EXPECT_TRUE(learner.update(sequences, supervised_loss(50, loss), 1e-2).applied);
  }
  std::vector<at::Tensor> weights;
  for (const auto& p : model->parameters()) weights.push_back(p.tensor->detach());
  return weights;
}

TEST(Optimizer, InBackwardGivesTheSameBits) {
  for (const bool tied : {true, false}) {
    for (const auto kind : {OptimizerKind::kAdamW, OptimizerKind::kMuon}) {
      const auto whole = trained(false, tied, kind), by_layer = trained(true, tied, kind);
      for (size_t i = 0; i < whole.size(); ++i) EXPECT_TRUE(whole[i].equal(by_layer[i])) << i;
    }
  }
}

TEST(Optimizer, InBackwardSkipsAStepWhoseFirstGradientIsNotFinite) {
  LearnOptions options;
  options.full_weights = true;
  options.optimizer.adamw.max_grad_norm = 0;
  options.optimizer.in_backward = true;
  const auto model = test::tiny_model();
  Learner learner(model, nullptr, options);
  const at::Tensor before = model->layer(0).flat.clone();
  const auto sequences = test::random_sequences(3, 5, 1);
  const MicrobatchLoss broken = [](const Microbatch&) -> CoefficientFn {
    return on_host([](int64_t, std::span<const float>, std::span<float> out) {
      std::fill(out.begin(), out.end(), std::nanf(""));
    });
  };
  const UpdateResult result = learner.update(sequences, broken, 1e-2);
  EXPECT_FALSE(result.applied);
  EXPECT_THAT(result.non_finite, HasSubstr("layers.2."));
  EXPECT_TRUE(model->layer(0).flat.equal(before));
  EXPECT_EQ(learner.optimizer().num_updates(), 0);
}

TEST(Optimizer, InBackwardThrowsWhereALaterGradientIsNotFinite) {
  at::Tensor a = at::zeros({2, 2}), b = at::zeros({2, 2});
  OptimizerOptions options;
  options.in_backward = true;
  ParameterStore store({{{"a", &a}}, {{"b", &b}}}, store_layout(options));
  Optimizer optimizer(store, options);
  optimizer.begin_step(.1);
  store.gradient(1).fill_(3);
  optimizer.update_layer(1);
  store.gradient(0).fill_(std::nanf(""));
  EXPECT_THAT([&] { optimizer.update_layer(0); },
              ThrowsMessage<Error>(HasSubstr("update 1: the gradient of a is not finite")));
  EXPECT_EQ(optimizer.num_updates(), 1);
  EXPECT_EQ(a[0][0].item<double>(), 0);
}

TEST(Optimizer, InBackwardHasTheNormOfTheWholeGradient) {
  at::Tensor a = at::zeros({2, 2}), b = at::zeros({3});
  OptimizerOptions options;
  options.in_backward = true;
  ParameterStore store({{{"a", &a}}, {{"b", &b}}}, store_layout(options));
  Optimizer optimizer(store, options);
  optimizer.begin_step(.1);
  for (const size_t layer : {1, 0}) {
    store.gradient(layer).fill_(2);
    optimizer.update_layer(layer);
    store.release_gradient(layer);
  }
  EXPECT_NEAR(optimizer.end_step().grad_norm, 2 * std::sqrt(7.0), 1e-12);
}

TEST(Optimizer, RefusesWhatCannotGoTogether) {
  LearnOptions options;
  options.optimizer.in_backward = true;
  EXPECT_THAT([&] { options.validate(); },
              ThrowsMessage<InputError>(HasSubstr("expected adamw.max_grad_norm = 0, got 1")));
  options.optimizer.in_backward = false;
  options.optimizer.kind = OptimizerKind::kMuon;
  EXPECT_THAT([&] { options.validate(); },
              ThrowsMessage<InputError>(HasSubstr("expected full_weights = true")));
  options.full_weights = true;
  EXPECT_NO_THROW(options.validate());
  options.optimizer.groups = {{{"patern", "x"}}};
  EXPECT_THAT([&] { options.validate(); },
              ThrowsMessage<InputError>(HasSubstr("parameter_groups[0]")));
}

}  // namespace
}  // namespace weft
