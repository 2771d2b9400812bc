/// Models as Hugging Face directories: config.json, safetensors, tokenizer files.
#pragma once

#include <compare>
#include <memory>
#include <string>

#include "model/transformer/transformer.h"

namespace weft {

/// `auto`: bf16 where the CPU multiplies bf16 natively (avx512_bf16), else f32. Takes
/// "auto", "f32" or "bf16"; InputError otherwise, with the reason for "int8".
at::ScalarType resolve_dtype(const std::string& name);

/// How a model that only answers is held.
struct InferenceDtype {
  at::ScalarType activations = at::kFloat;  ///< and of the weights that are not rounded
  bool int8 = false;                        ///< linear weights are rounded; see Transformer

  auto operator<=>(const InferenceDtype&) const = default;
};

/// As resolve_dtype, and "int8", whose activations are those of "auto".
InferenceDtype resolve_inference_dtype(const std::string& name);

/// True for the weights that a text reads one row a token of and nothing else: the input embedding,
/// unless it is the output layer too.
bool is_read_by_token(const std::string& hugging_face_name, const TransformerConfig& config);

/// Reads config and weights of `dir`, converting f32, bf16 and f16 to `dtype`.
///
/// Throws InputError naming the file and the tensor that is missing, left over, of the wrong shape
/// (expected, got) or holds a value that is not finite. Where that is only the input embedding and
/// no output layer shares it, a warning names it: texts without the tokens concerned are unharmed.
/// Throws Interrupted after SIGINT or SIGTERM.
std::unique_ptr<Transformer> load_transformer(const std::string& dir, at::ScalarType dtype);

/// The same for a model that only answers. With int8 weights the rounding follows the reading layer
/// by layer, so that the whole model is never in memory unrounded.
std::unique_ptr<Transformer> load_for_inference(const std::string& dir,
                                                const InferenceDtype& dtype);

/// Writes the model as a directory that transformers and vLLM load unchanged: weights under their
/// Hugging Face names in the model's dtype (not rounded ones), every other file (config, generation
/// config, tokenizer, chat template) copied from `source_dir`, the directory that the model came
/// from.
///
/// The directory is built beside `dir` and renamed at the end. Throws Error if it exists or the
/// disk is full, and leaves nothing under the final name then.
void save_transformer(const Transformer& model, const std::string& source_dir,
                      const std::string& dir);

}  // namespace weft
