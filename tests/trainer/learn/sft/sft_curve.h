/// Supervised training beside transformers, peft and torch's AdamW, from a fixture of
/// scripts/fixtures/make_sft_fixtures.py.
#pragma once

#include <ATen/core/Tensor.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/json.h"
#include "model/checkpoint/hf_model.h"
#include "tests/support/support.h"
#include "trainer/learn/update/learner.h"

namespace weft::test {

/// Of each step's loss and gradient norm, relative. Both sides sum in fp32 in orders of their own.
inline constexpr double kCurveTolerance = 1e-4;

/// The fixture's fresh adapter: B zero, A a ramp, with `use_dora` rows of the lengths they have.
inline std::shared_ptr<Lora> ramp_adapter(const Transformer& model, bool use_dora) {
  Rng rng(1);
  LoraConfig config{8, 16};
  config.use_dora = use_dora;
  auto lora = std::make_shared<Lora>(model.config(), config, rng);
  for (int64_t l = 0; l < lora->num_layers(); ++l) {
    for (int p = 0; p < kNumProjections; ++p) {
      at::Tensor& a = lora->layer(l).a[p];
      float* data = a.data_ptr<float>();
      for (int64_t i = 0; i < a.numel(); ++i) {
        const int64_t step = (i * 7919 + (kNumProjections * l + p) * 104729) % 2003;
        data[i] = static_cast<float>(0.1 * (static_cast<double>(step) / 2003 - 0.5));
      }
    }
  }
  lora->weights_changed();
  if (use_dora) lora->take_magnitudes(model);
  return lora;
}

inline std::shared_ptr<Lora> adapter_of(const Json& c, const Transformer& model) {
  const auto name = c["adapter"].get<std::string>();
  if (name.empty()) return nullptr;
  if (name == "ramp") return ramp_adapter(model, c.value("use_dora", false));
  const TempDir dir;
  fs::copy(fixture(name), dir / "adapter");
  Json config = read_json_file(dir / "adapter" / "adapter_config.json");
  config["use_rslora"] = c["use_rslora"];
  write_file_atomically(dir / "adapter" / "adapter_config.json", dump_json(config));
  return Lora::load(dir / "adapter", model.config());
}

inline std::vector<TrainSequence> sequences_of(const Json& batch) {
  std::vector<TrainSequence> result;
  for (const Json& pair : batch) {
    result.push_back({pair[0].get<std::vector<int32_t>>(), pair[1].get<std::vector<int32_t>>()});
  }
  return result;
}

/// Trains as the case `c` of the fixture did, packed, and compares each step.
inline void expect_curve(const Json& fixture, const Json& c, const std::string& model_dir) {
  SCOPED_TRACE(c["name"].get<std::string>());
  const std::shared_ptr<Transformer> model = load_transformer(model_dir, at::kFloat);
  const auto lora = adapter_of(c, *model);
  LearnOptions options;
  options.full_weights = lora == nullptr;
  options.optimizer.adamw = load_config<AdamWOptions>(fixture["options"]);
  Learner learner(model, lora, options);
  const auto warmup = fixture["warmup_steps"].get<double>();
  const Json& batches = fixture["batches"];
  for (size_t step = 0; step < c["losses"].size(); ++step) {
    const auto sequences = sequences_of(batches[step % batches.size()]);
    const double tokens = total_loss_weight(sequences);
    const double rise = std::min(1.0, static_cast<double>(step + 1) / warmup);
    LoggedSum loss;
    const UpdateResult update =
        learner.update(sequences, supervised_loss(tokens, loss), c["lr"].get<double>() * rise);
    const auto expected_loss = c["losses"][step].get<double>();
    const auto expected_norm = c["grad_norms"][step].get<double>();
    EXPECT_NEAR(loss.value() / tokens, expected_loss, kCurveTolerance * expected_loss)
        << "step " << step;
    EXPECT_NEAR(update.grad_norm, expected_norm, kCurveTolerance * expected_norm)
        << "step " << step;
  }
}

}  // namespace weft::test
