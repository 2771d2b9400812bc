/// A tiny policy with a batch of episodes for its update.
#pragma once

#include <algorithm>
#include <memory>
#include <vector>

#include "tests/trainer/learn/update/learn_support.h"
#include "trainer/learn/grpo/policy_update.h"

namespace weft::test {

inline std::shared_ptr<Lora> fresh_lora(const TransformerConfig& config) {
  Rng rng(2);
  return std::make_shared<Lora>(config, LoraConfig{}, rng);
}

struct Bench {
  static constexpr int32_t kRare = 60;  ///< a token that is in no episode

  bool tied = true;
  LearnOptions options;
  explicit Bench(bool tied_embeddings = true, const LearnOptions& learn_options = {})
      : tied(tied_embeddings), options(learn_options) {}

  std::shared_ptr<Transformer> model = tiny_model(tied);
  std::shared_ptr<Lora> lora = fresh_lora(model->config());
  Learner learner{model, lora, options, /*entropy=*/true};
  Reference base{Reference::Kind::kAdapter, nullptr, nullptr};

  /// Four prompts with three samples each, behaviour logprobs by the learner's own forward.
  std::vector<Episode> episodes() {
    auto sequences = random_sequences(12, 41, 3);
    for (auto& s : sequences) {
      std::replace(s.prompt_ids.begin(), s.prompt_ids.end(), kRare, int32_t{3});
      std::replace(s.completion_ids.begin(), s.completion_ids.end(), kRare, int32_t{3});
    }
    const auto logps = learner.logprobs(sequences, lora.get());
    std::vector<Episode> result(12);
    for (size_t i = 0; i < 12; ++i) {
      result[i].group = i / 3;
      result[i].prompt_ids = sequences[i].prompt_ids;
      result[i].completion_ids = sequences[i].completion_ids;
      result[i].sampling_logprobs = logps[i];
      result[i].reward = static_cast<double>(i % 3);
    }
    return result;
  }
};

}  // namespace weft::test
