/// Differentiable composites on CPU kernels. Each records autograd only where grad mode is on.
#pragma once

#include <ATen/core/Tensor.h>

#include "model/kernels/attention.h"
#include "model/transformer/transformer.h"

namespace weft {

/// x [T, K] w [N, K]^T + bias (may be undefined): [T, N], a row of which has the same bits here and
/// in the engine (kernels::linear). Gradients are LibTorch's products.
at::Tensor linear(const at::Tensor& x, const at::Tensor& w, const at::Tensor& bias = {});

/// y [T, N] + x [T, K] w [N, K]^T, rounded once. `y` may be overwritten where nothing is recorded.
at::Tensor add_linear(const at::Tensor& y, const at::Tensor& x, const at::Tensor& w);

/// x [T, H], w [H] -> x / sqrt(mean x^2 + eps) * w. Source: arXiv:1910.07467, eq. 4. The product is
/// rounded once, at the end (Hugging Face rounds before multiplying by w).
at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& w, double eps);

/// qkv [T, (heads + 2 kv_heads) dim] with rms_norm applied to each query and each key head, or qkv
/// itself where the layer has no such norms. Source: arXiv:2505.09388, section 2.
at::Tensor norm_heads(const at::Tensor& qkv, const TransformerLayer& layer,
                      const kernels::HeadShape& shape, double eps);

/// gate_up [T, 2 F] -> silu(gate) * up, [T, F]. Source: arXiv:2002.05202, SwiGLU.
at::Tensor silu_mul(const at::Tensor& gate_up);

/// Rotary embedding (arXiv:2104.09864, eq. 34, halves as in Hugging Face) and causal softmax
/// attention: qkv [T, (heads + 2 kv_heads) dim] -> [T, heads dim]. `batch` and `rope_table` must
/// outlive the backward pass; qkv is not changed.
at::Tensor rotary_attention(const at::Tensor& qkv, const PackedBatch& batch,
                            const at::Tensor& rope_table, const kernels::HeadShape& shape);

}  // namespace weft
