/// What a Hugging Face `config.json` says about a decoder. Free of LibTorch.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"

namespace weft {

enum class Architecture { kLlama, kQwen2, kQwen3, kMistral };

/// How rotary frequencies are stretched beyond the trained context.
struct RopeScaling {
  enum class Kind { kNone, kLinear, kLlama3, kYarn };
  Kind kind = Kind::kNone;
  double factor = 1;            ///< context multiplier, > 0
  double low_freq_factor = 1;   ///< kLlama3: wavelengths above original / this are stretched
  double high_freq_factor = 4;  ///< kLlama3: wavelengths below original / this are kept
  int64_t original_max_positions = 8192;  ///< kLlama3, kYarn: trained context, tokens
  double beta_fast = 32;  ///< kYarn: frequencies of more turns in the trained context are kept
  double beta_slow = 1;   ///< kYarn: those of fewer turns are stretched
  bool truncate = true;   ///< kYarn: the range between is of whole dimensions
  double attention_factor = 1;  ///< kYarn: cosines and sines are multiplied by it

  bool operator==(const RopeScaling&) const = default;
};

/// Shape of a decoder of one of these architectures, names as in `docs/notation.md`.
struct TransformerConfig {
  Architecture architecture = Architecture::kLlama;
  int64_t vocab_size = 0;
  int64_t hidden_size = 0;
  int64_t intermediate_size = 0;
  int64_t num_layers = 0;
  int64_t num_heads = 0;
  int64_t num_kv_heads = 0;
  int64_t head_dim = 0;
  /// Context limit in tokens: no more than the attention's window where it has one, so that every
  /// token sees all before it, as within the window. With kYarn the trained context times its
  /// factor, where the file names less.
  int64_t max_positions = 0;
  double rms_norm_eps = 1e-6;
  double rope_theta = 10000;
  RopeScaling rope_scaling;
  bool tie_word_embeddings = false;
  bool qkv_bias = false;  ///< q, k and v projections carry a bias
  bool o_bias = false;
  bool mlp_bias = false;
  bool qk_norm = false;          ///< each query and key head is normed before its rotation
  std::vector<int32_t> eos_ids;  ///< any of them ends a completion; may be empty
  std::optional<int32_t> bos_id;
  std::string stored_dtype;  ///< "bfloat16", "float16", "float32" or empty

  /// Reads the parsed `config.json`. Both the field names of transformers 4 (`rope_theta`,
  /// `rope_scaling`, `torch_dtype`) and 5 (`rope_parameters`, `dtype`) are understood, and what is
  /// not said is what transformers 5 takes then.
  ///
  /// Throws InputError naming the field, the architecture and the known ones, or two fields that
  /// say different things.
  static TransformerConfig from_json(const Json& config, const std::string& where);

  /// Reads `config.json` of a model directory and adds the end-of-text ids of its
  /// `generation_config.json` if there is one.
  static TransformerConfig from_directory(const std::string& dir);

  int64_t q_size() const { return num_heads * head_dim; }
  int64_t kv_size() const { return num_kv_heads * head_dim; }

  /// Number of weights, a tied head counted once.
  int64_t num_parameters() const;
};

}  // namespace weft
