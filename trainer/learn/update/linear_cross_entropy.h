/// The LM head and its loss in chunks of tokens: logits in fp32, never the whole [N, V] matrix.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <span>

#include "base/stop.h"

namespace weft {

/// d(loss)/d(logp) of the tokens [begin, begin + n) given their log probabilities, both [n] f32 and
/// contiguous on one device. Called once for each chunk, in order, on the caller's thread.
using CoefficientFn = std::function<at::Tensor(int64_t begin, const at::Tensor& logp)>;

/// The same on spans of the host: writes `coefficients` [n].
using SpanCoefficientFn =
    std::function<void(int64_t begin, std::span<const float> logp, std::span<float> coefficients)>;

/// A function of spans for any device; from another than the CPU the host waits for each chunk.
CoefficientFn on_host(SpanCoefficientFn coefficients);

struct LinearCrossEntropyOptions {
  int64_t chunk_tokens = 256;  ///< rows of fp32 logits held at a time
  bool entropy = false;        ///< also compute the entropy of each row
  double temperature = 1;      ///< > 0; logits are divided by it
  StopCheck stop = {};         ///< looked at before each chunk
};

struct LinearCrossEntropyResult {
  at::Tensor logp;         ///< [N] f32, nats, of the targets
  at::Tensor entropy;      ///< [N] f32, nats; undefined if not asked for
  at::Tensor hidden_grad;  ///< [N, H] in the dtype of hidden; undefined without coefficients
};

/// log p(targets) = log softmax(logits)[targets] with logits = hidden weight^T / temperature, and
/// the gradient of a loss that is known by one detached constant c_t = d(loss)/d(logp_t) per token:
///
///   d(loss)/d(logits_t) = c_t (onehot(target_t) - softmax(logits_t))
///
///   hidden [N, H], weight [V, H] f32 or bf16; targets [N] int64
///   weight_grad: null (frozen head), or [V, H] f32 or of the weights' dtype, to which the head's
///                gradient is added, chunk after chunk
///
/// Results lie on the device of `hidden`, and nothing here waits for it. Without `coefficients`
/// only logp and entropy are computed. logp has the bits that the engine records while it decodes
/// at that temperature with nothing cut, and at temperature 1 those of Transformer::token_logprobs.
/// Records no autograd graph. Supervised training is the case c_t = -1/N. The chunk size does not
/// change results beyond rounding in fp32.
LinearCrossEntropyResult linear_cross_entropy(const at::Tensor& hidden, const at::Tensor& weight,
                                              const at::Tensor& targets,
                                              const CoefficientFn& coefficients,
                                              at::Tensor* weight_grad,
                                              const LinearCrossEntropyOptions& options = {});

}  // namespace weft
