// Loss, every gradient tensor and five AdamW steps against PyTorch, on the tiny models of
// tests/fixtures (scripts/fixtures/make_tiny_fixtures.py).
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include <map>

#include "base/json.h"
#include "model/checkpoint/hf_model.h"
#include "tests/support/support.h"
#include "tests/trainer/learn/update/learn_support.h"
#include "trainer/learn/update/learner.h"

namespace weft {
namespace {

constexpr double kGradientTolerance = 1e-4, kLossTolerance = 1e-5;

struct Subject {
  std::string fixture;  ///< file name without .json
  std::shared_ptr<Transformer> model;
  std::shared_ptr<Lora> lora;
};

Subject load(const std::string& fixture) {
  Subject s{fixture, nullptr, nullptr};
  const bool lora = fixture.ends_with("_lora");
  const std::string base = lora ? "tiny_llama" : fixture;
  s.model = load_transformer(test::fixture(base).string(), at::kFloat);
  if (lora) s.lora = Lora::load(test::fixture(fixture).string(), s.model->config());
  return s;
}

// Each sequence as a prompt of one token: the loss is then over every next-token position.
std::vector<TrainSequence> sequences_of(const Json& fixture) {
  std::vector<TrainSequence> result;
  for (const auto& ids : fixture["ids"]) {
    const auto all = ids.get<std::vector<int32_t>>();
    result.push_back({{all[0]}, {all.begin() + 1, all.end()}});
  }
  return result;
}

int64_t loss_tokens(const std::vector<TrainSequence>& sequences) {
  int64_t total = 0;
  for (const auto& s : sequences) total += static_cast<int64_t>(s.completion_ids.size());
  return total;
}

/// Gradients under their Hugging Face or PEFT names.
std::map<std::string, at::Tensor> named_gradients(const Subject& s, ParameterStore& store) {
  std::map<std::string, at::Tensor> own, result;
  for (size_t l = 0; l < store.num_layers(); ++l) {
    for (size_t i = 0; i < store.parameters(l).size(); ++i) {
      own[store.parameters(l)[i].name] = store.gradient(l, i);
    }
  }
  if (s.lora) {
    for (const auto& [parameter, gradient] : own) {
      std::string name = parameter + ".weight";
      const size_t end = name.find('.', 7);  // "layers.N."
      const std::string part = name.substr(end + 1);
      const bool attention = part[0] == 'q' || part[0] == 'k' || part[0] == 'v' || part[0] == 'o';
      name = "base_model.model.model." + name.substr(0, end) +
             (attention ? ".self_attn." : ".mlp.") + part;
      result[name] = gradient;
    }
    return result;
  }
  Transformer holder(s.model->config(), at::kFloat);
  std::map<std::string, at::Tensor*> slots;
  for (auto& p : holder.parameters()) slots[p.name] = p.tensor;
  for (const auto& [parameter, gradient] : own) slots.at(parameter)->copy_(gradient);
  for (const auto& [name, view] : holder.hugging_face_views()) result[name] = view.clone();
  return result;
}

void check_gradient(const std::string& name, const at::Tensor& got, const Json& expected) {
  SCOPED_TRACE(name);
  const double norm = expected["norm"].get<double>();
  EXPECT_NEAR(got.norm().item<double>(), norm, kGradientTolerance * norm);
  const at::Tensor flat = got.contiguous().flatten();
  for (size_t i = 0; i < expected["at"].size(); ++i) {
    const double value = expected["values"][i].get<double>();
    EXPECT_NEAR(flat[expected["at"][i].get<int64_t>()].item<double>(), value,
                kGradientTolerance * norm);
  }
}

class GradientParity : public testing::TestWithParam<const char*> {};

TEST_P(GradientParity, LossAndEveryGradientMatchPyTorch) {
  const Subject s = load(GetParam());
  const Json fixture = read_json_file(test::fixture(s.fixture + ".json"));
  const auto sequences = sequences_of(fixture);
  LayerwiseTrainer trainer(*s.model, s.lora.get(), {});
  ParameterStore store(trainer.layers());
  LoggedSum loss;
  const int64_t tokens = loss_tokens(sequences);
  const MicrobatchLoss supervised = supervised_loss(tokens, loss);
  for (const auto& m : pack(sequences, {})) trainer.forward_backward(m, supervised(m), store);
  EXPECT_NEAR(loss.value() / static_cast<double>(tokens), fixture["loss"].get<double>(),
              kLossTolerance);
  const at::NoGradGuard no_grad;
  const auto gradients = named_gradients(s, store);
  size_t compared = 0;
  for (const auto& [name, expected] : fixture["gradients"].items()) {
    const auto found = gradients.find(name);
    ASSERT_NE(found, gradients.end()) << name;
    check_gradient(name, found->second, expected);
    ++compared;
  }
  EXPECT_EQ(compared, gradients.size());
}

TEST_P(GradientParity, FiveAdamWStepsFollowPyTorchsLosses) {
  const Subject s = load(GetParam());
  const Json fixture = read_json_file(test::fixture(s.fixture + ".json"));
  const auto sequences = sequences_of(fixture);
  const int64_t tokens = loss_tokens(sequences);
  LearnOptions options;
  options.full_weights = s.lora == nullptr;
  options.optimizer.adamw.beta1 = .9;
  options.optimizer.adamw.beta2 = .95;
  options.optimizer.adamw.weight_decay = .1;
  options.optimizer.adamw.max_grad_norm = 1e9;
  Learner learner(s.model, s.lora, options);
  for (const auto& expected : fixture["adamw"]["losses_without_decay_of_vectors"]) {
    LoggedSum loss;
    learner.update(sequences, supervised_loss(tokens, loss), 1e-2);
    EXPECT_NEAR(loss.value() / static_cast<double>(tokens), expected.get<double>(), 1e-4);
  }
}

INSTANTIATE_TEST_SUITE_P(Tiny, GradientParity,
                         testing::Values("tiny_llama", "tiny_qwen2", "tiny_qwen3", "tiny_mistral",
                                         "tiny_llama_lora"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace weft
