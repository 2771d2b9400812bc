/// Models and tensors that scripts/fixtures/make_tiny_fixtures.py stored.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <string>
#include <vector>

#include "base/json.h"
#include "model/transformer/lora.h"
#include "model/transformer/transformer.h"

namespace weft::test {

at::Tensor id_tensor(const std::vector<int64_t>& ids);

/// One tiny model: its sequences, its packed batch, and what transformers computed for them.
struct TinyFixture {
  /// `name` is a folder of tests/fixtures; tiny_llama_lora is tiny_llama with an adapter.
  explicit TinyFixture(const std::string& name);

  /// Mean over every next-token position of all sequences; differentiable.
  at::Tensor loss(const Lora* with) const;
  /// [T, vocab] f32 logits of the packed batch.
  at::Tensor logits(const Lora* with) const;
  /// What transformers computed for the packed batch.
  at::Tensor expected_logits() const;
  /// Greatest difference between a gradient and the stored sample and norm of it.
  double gradient_error(const std::string& hugging_face_name, const at::Tensor& gradient) const;

  Json json;
  std::unique_ptr<Transformer> model;
  std::unique_ptr<Lora> lora;
  std::vector<std::vector<int64_t>> sequences;
  PackedBatch batch;
  at::Tensor ids;  // [T]
};

}  // namespace weft::test
