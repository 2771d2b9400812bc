#pragma once

#include <ATen/core/Tensor.h>

#include "model/checkpoint/model_config.h"

namespace weft {

/// Cosines and sines [max_positions, 2, head_dim / 2] f32 of position * theta^(-2 i / head_dim),
/// frequencies stretched as `config.rope_scaling` says (kLlama3: as transformers'
/// `_compute_llama3_parameters`; kYarn: arXiv:2309.00071, sections 3.2 and 3.4, as its
/// `_compute_yarn_parameters`, all times the attention factor). Angles are rounded to f32 as there.
at::Tensor make_rope_table(const TransformerConfig& config);

}  // namespace weft
