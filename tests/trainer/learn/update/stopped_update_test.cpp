// What a stop in the middle of a pass leaves, wherever it comes.
#include <gtest/gtest.h>

#include <csignal>
#include <memory>

#include "base/error.h"
#include "tests/trainer/learn/update/learn_support.h"
#include "trainer/learn/update/learner.h"

namespace weft {
namespace {

constexpr double kRate = 1e-2;

struct Setting {
  const char* name;
  bool full_weights = false;
  int64_t kept_layers = -1;
  bool in_backward = false;
  /// Looks of an update of two microbatches with two chunks each: forwards, head, backwards. What
  /// is left of a backward pass that updates layers is not dropped.
  int64_t looks = 2 * (3 + 2 + 3);
};

void PrintTo(const Setting& setting, std::ostream* out) { *out << setting.name; }

/// A learner of a tiny model, always with the same weights.
class TinyRun {
 public:
  explicit TinyRun(const Setting& setting)
      : model_(test::tiny_model()),
        lora_(setting.full_weights ? nullptr : fresh_lora(model_->config())),
        learner_(model_, lora_, options(setting)) {}

  void update(const StopCheck& stop) {
    LoggedSum ignored;
    learner_.update(sequences_, supervised_loss(total_loss_weight(sequences_), ignored), kRate,
                    stop);
  }

  std::vector<std::vector<float>> logprobs(const StopCheck& stop) {
    return learner_.logprobs(sequences_, lora_.get(), stop);
  }

  /// Copies of all that an update may change.
  std::vector<at::Tensor> state() {
    std::vector<at::Tensor> all;
    for (const auto& p : lora_ ? lora_->parameters() : model_->parameters()) {
      all.push_back(p.tensor->detach().clone());
    }
    for (const auto& [name, tensor] : learner_.optimizer().state()) all.push_back(tensor.clone());
    return all;
  }

 private:
  static std::shared_ptr<Lora> fresh_lora(const TransformerConfig& config) {
    Rng rng(2);
    return std::make_shared<Lora>(config, LoraConfig{}, rng);
  }
  static LearnOptions options(const Setting& setting) {
    LearnOptions options;
    options.full_weights = setting.full_weights;
    options.keep_activations_layers = setting.kept_layers;
    options.optimizer.in_backward = setting.in_backward;
    if (setting.in_backward) options.optimizer.adamw.max_grad_norm = 0;
    options.tokens_per_microbatch = 20;
    options.loss_chunk_tokens = 6;
    return options;
  }
  /// Two that no microbatch holds both of, with more loss tokens than a chunk and less than two.
  static std::vector<TrainSequence> two_sequences() {
    Rng rng(5);
    std::vector<TrainSequence> result;
    for (int i = 0; i < 2; ++i) {
      result.push_back({test::random_ids(rng, 6), test::random_ids(rng, 10)});
    }
    return result;
  }

  std::shared_ptr<Transformer> model_;
  std::shared_ptr<Lora> lora_;
  Learner learner_;
  const std::vector<TrainSequence> sequences_ = two_sequences();
};

/// Throws at the `at`th look, copies' looks included.
StopCheck stop_at(int64_t at) {
  return [at, looks = std::make_shared<int64_t>(0)] {
    if (++*looks == at) throw Interrupted(SIGTERM);
  };
}

int64_t count_looks(const std::function<void(const StopCheck&)>& work) {
  int64_t looks = 0;
  work([&looks] { ++looks; });
  return looks;
}

void expect_equal(const std::vector<at::Tensor>& a, const std::vector<at::Tensor>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) EXPECT_TRUE(a[i].equal(b[i])) << "tensor " << i;
}

class StoppedUpdate : public testing::TestWithParam<Setting> {};

TEST_P(StoppedUpdate, LeavesNothingAndTheNextGivesTheBitsOfAStraightRun) {
  const Setting setting = GetParam();
  TinyRun straight(setting);
  straight.update({});
  straight.update({});
  const auto expected = straight.state();
  const int64_t looks = count_looks([&](const StopCheck& stop) { TinyRun(setting).update(stop); });
  EXPECT_EQ(looks, setting.looks);
  for (int64_t at = 1; at <= looks; ++at) {
    SCOPED_TRACE(at);
    TinyRun run(setting);
    run.update({});
    const auto before = run.state();
    EXPECT_THROW(run.update(stop_at(at)), Interrupted);
    expect_equal(run.state(), before);
    run.update({});
    expect_equal(run.state(), expected);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Of, StoppedUpdate,
    testing::Values(Setting{"Adapter"}, Setting{"RecomputedAdapter", false, 0},
                    Setting{"FullWeights", true}, Setting{"RecomputedFullWeights", true, 0},
                    // The last backward pass is looked at before its first layer alone.
                    Setting{"OptimizerInBackward", true, -1, true, 3 + 2 + 3 + 3 + 2 + 1}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(StoppedLogprobs, CanBeAskedForAgain) {
  const Setting setting{"Adapter"};
  TinyRun run(setting);
  const auto expected = run.logprobs({});
  const int64_t looks = count_looks([&](const StopCheck& stop) { run.logprobs(stop); });
  EXPECT_GE(looks, 2 * (3 + 1));  // layers and a chunk of each microbatch
  for (int64_t at = 1; at <= looks; ++at) {
    EXPECT_THROW(run.logprobs(stop_at(at)), Interrupted);
    EXPECT_EQ(run.logprobs({}), expected);
  }
}

}  // namespace
}  // namespace weft
