/// A model that cannot learn one token.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <limits>
#include <string>

#include "model/checkpoint/hf_model.h"
#include "model/tokenizer/tokenizer.h"

namespace weft::test {

/// Saves a model of untied embeddings with NaN for the row of the last token of `text`. Returns the
/// copy's path.
inline std::string copy_with_a_nan_row(const std::filesystem::path& model,
                                       const std::filesystem::path& copy, const std::string& text) {
  const auto spoilt = load_transformer(model, at::kFloat);
  const auto ids = Tokenizer::load(model)->encode(text, /*add_special=*/false);
  for (const auto& [name, tensor] : spoilt->hugging_face_views()) {
    if (name != "model.embed_tokens.weight") continue;
    tensor.select(0, ids.back()).fill_(std::numeric_limits<float>::quiet_NaN());
  }
  save_transformer(*spoilt, model, copy);
  return copy.string();
}

}  // namespace weft::test
