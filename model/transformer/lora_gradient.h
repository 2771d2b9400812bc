/// The update of an adapter in training, and what DoRA adds to every pass.
#pragma once

#include <ATen/core/Tensor.h>

#include "model/transformer/lora.h"

namespace weft {

/// Lengths of the rows of w [n, in] + scale b [n, r] a [r, in], [n] f32; a and b are f32.
at::Tensor row_norms(const at::Tensor& w, const at::Tensor& a, const at::Tensor& b, double scale);

/// (y [T, out] - bias) gain + bias of `update` in fp32, rounded once.
at::Tensor with_gain(const at::Tensor& y, const LoraUpdate& update);

/// y [T, out] + (x [T, in] a^T) b^T of `update`, with the bits of ops::add_linear of ops::linear,
/// and then with_gain() where it has one. Records gradients of y, x and of update.factors, which
/// are not empty: of each from its own block, in the dtype of x.
at::Tensor add_update(const at::Tensor& y, const at::Tensor& x, const LoraUpdate& update);

}  // namespace weft
