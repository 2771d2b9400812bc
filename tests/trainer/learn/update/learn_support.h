/// Small models and tensors for the tests of this folder.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <initializer_list>
#include <memory>
#include <vector>

#include "base/rng.h"
#include "model/transformer/transformer.h"
#include "trainer/learn/update/packing.h"

namespace weft::test {

inline at::Tensor row(const std::vector<float>& values) {
  at::Tensor result = at::empty({static_cast<int64_t>(values.size())}, at::kFloat);
  std::copy(values.begin(), values.end(), result.data_ptr<float>());
  return result;
}

inline at::Tensor random_tensor(std::vector<int64_t> shape, Rng& rng, double scale = 1) {
  at::Tensor result = at::empty(shape, at::kFloat);
  float* data = result.data_ptr<float>();
  for (int64_t i = 0; i < result.numel(); ++i) data[i] = static_cast<float>(scale * rng.normal());
  return result;
}

inline TransformerConfig tiny_config(bool tied = true) {
  TransformerConfig c;
  c.vocab_size = 61;
  c.hidden_size = 32;
  c.intermediate_size = 48;
  c.num_layers = 3;
  c.num_heads = 4;
  c.num_kv_heads = 2;
  c.head_dim = 8;
  c.max_positions = 256;
  c.tie_word_embeddings = tied;
  c.eos_ids = {2};
  return c;
}

inline std::shared_ptr<Transformer> tiny_model(bool tied = true) {
  return Transformer::random(tiny_config(tied), at::kFloat, 11, 0.2);
}

inline std::vector<int32_t> random_ids(Rng& rng, int64_t count) {
  std::vector<int32_t> ids(count);
  for (auto& id : ids) id = static_cast<int32_t>(rng.below(61));
  return ids;
}

/// `count` sequences of different lengths, every `repeat` of them with the same prompt.
inline std::vector<TrainSequence> random_sequences(int64_t count, uint64_t seed, int64_t repeat) {
  Rng rng(seed);
  std::vector<TrainSequence> result;
  std::vector<int32_t> prompt;
  for (int64_t i = 0; i < count; ++i) {
    if (i % repeat == 0) prompt = random_ids(rng, 3 + static_cast<int64_t>(rng.below(9)));
    result.push_back({prompt, random_ids(rng, 1 + static_cast<int64_t>(rng.below(14)))});
  }
  return result;
}

/// |a - b| / |b| in the Euclidean norm.
inline double relative_error(const at::Tensor& a, const at::Tensor& b) {
  const double scale = b.norm().item<double>();
  return a.sub(b).norm().item<double>() / (scale > 0 ? scale : 1);
}

}  // namespace weft::test
