/// The operations that a decoder is made of. The device of the tensors chooses the form (see
/// device_ops.h): all tensors of a call lie on one device, or Error names the operation and both.
/// Tensors are contiguous, f32 or bf16; arithmetic inside is fp32. Each records autograd where grad
/// mode is on, but for those that say otherwise.
#pragma once

#include <ATen/core/Tensor.h>

#include "model/ops/cpu/attention.h"
#include "model/ops/cpu/int8.h"
#include "model/ops/device_ops.h"

namespace weft::ops {

/// Rows `rows` [n] int64 of x [*, dim]: [n, dim]. Records a gradient where x requires one.
at::Tensor take_rows(const at::Tensor& x, const at::Tensor& rows);

/// x [T, K] w [N, K]^T + bias (may be undefined): [T, N], rounded once. On the CPU a row has the
/// same bits in every batch. Gradients are LibTorch's products.
at::Tensor linear(const at::Tensor& x, const at::Tensor& w, const at::Tensor& bias = {});

/// The same with w as int8: on the CPU, and without a gradient.
at::Tensor linear(const at::Tensor& x, const kernels::Int8Matrix& w, const at::Tensor& bias = {});

/// y [T, N] + x [T, K] w [N, K]^T, rounded once. `y` may be overwritten where nothing is recorded.
at::Tensor add_linear(const at::Tensor& y, const at::Tensor& x, const at::Tensor& w);

/// x [T, K] w [N, K]^T in fp32 whatever the dtype of x and w: [T, N] f32, written to `out` where
/// that is given. Records no gradient.
at::Tensor linear_f32(const at::Tensor& x, const at::Tensor& w, const at::Tensor& out = {});

/// x [T, H], w [H] -> x / sqrt(mean x^2 + eps) * w. Source: arXiv:1910.07467, eq. 4. The product is
/// rounded once, at the end (Hugging Face rounds before multiplying by w).
at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& w, double eps);

/// x [T, H] += delta [T, H] (may be undefined), rounded; returns rms_norm of that. Records no
/// gradient.
at::Tensor add_rms_norm(const at::Tensor& x, const at::Tensor& delta, const at::Tensor& w,
                        double eps);

/// qkv [T, (heads + 2 kv_heads) dim] with rms_norm applied to each query head by `q_norm` [dim] and
/// to each key head by `k_norm` [dim]; qkv itself where they are undefined. Source:
/// arXiv:2505.09388, section 2.
at::Tensor norm_heads(const at::Tensor& qkv, const at::Tensor& q_norm, const at::Tensor& k_norm,
                      const kernels::HeadShape& shape, double eps);

/// gate_up [T, 2 F] -> silu(gate) * up, [T, F]. Source: arXiv:2002.05202, SwiGLU.
at::Tensor silu_mul(const at::Tensor& gate_up);

/// What rotary_attention on `device` needs of a batch, computed once for all layers.
PackedPlanPtr plan_packed(const PackedBatch& batch, at::Device device);

/// Rotary embedding (arXiv:2104.09864, eq. 34, halves as in Hugging Face) and causal softmax
/// attention inside each sequence: qkv [T, (heads + 2 kv_heads) dim] -> [T, heads dim].
/// `rope_table` is that of make_rope_table. qkv is not changed.
at::Tensor rotary_attention(const at::Tensor& qkv, const PackedPlanPtr& plan,
                            const at::Tensor& rope_table, const kernels::HeadShape& shape);

/// log softmax(logits [n, V] f32) at `targets` [n] int64: [n] f32, nats. Records no gradient.
at::Tensor token_logprobs(const at::Tensor& logits, const at::Tensor& targets);

/// Log sums and log probabilities of `targets` [n] int64 under softmax(logits / temperature),
/// logits [n, V] f32. On the CPU with the bits that the sampler gives. Records no gradient.
LossRows loss_rows(const at::Tensor& logits, const at::Tensor& targets, double temperature);

/// d(loss) / d(logits), [n, V] of `dtype`, of a loss with the constant d(loss) / d(logp) =
/// `coefficients` [n] f32: coefficient (onehot(target) - softmax) / temperature. `lse` is that of
/// loss_rows. The entropy of each row, in nats, is written to `entropy` [n] f32 where that is
/// given. May overwrite the logits. Records no gradient.
at::Tensor logit_gradient(const at::Tensor& logits, const at::Tensor& targets,
                          const at::Tensor& lse, const at::Tensor& coefficients, double temperature,
                          at::ScalarType dtype, const at::Tensor& entropy = {});

}  // namespace weft::ops
