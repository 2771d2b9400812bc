/// The decoder layer, once: decoding, logprobs and training differ in the attention and the
/// adapters that they give it, and in whether gradients are recorded.
#pragma once

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <utility>
#include <vector>

#include "model/ops/ops.h"
#include "model/transformer/lora.h"
#include "model/transformer/transformer.h"

namespace weft {

/// What a layer hands on: hidden [T, H] and, to be added to it, delta [T, H] (undefined: nothing).
/// The next norm adds both in the pass in which it reads them.
struct Residual {
  at::Tensor hidden;
  at::Tensor delta;
  bool may_overwrite = false;  ///< nobody else reads `hidden`: sums may be written there

  /// hidden + delta, [T, H].
  at::Tensor sum() const { return delta.defined() ? hidden + delta : hidden; }
};

/// How the tokens of a batch see each other.
class Attention {
 public:
  virtual ~Attention() = default;

  /// Norms the heads of qkv [T, (heads + 2 kv_heads) dim] where `weights` has norms for them,
  /// rotates queries and keys and attends: [T, heads dim]. May overwrite qkv where no gradient is
  /// recorded. `layer` is the index of `weights`.
  virtual at::Tensor attend(int64_t layer, const TransformerLayer& weights,
                            const at::Tensor& qkv) const = 0;
};

/// Attention inside each sequence of a packed batch; differentiable. Borrows the model.
class PackedAttention : public Attention {
 public:
  PackedAttention(const Transformer& model, const PackedBatch& batch)
      : model_(model), plan_(ops::plan_packed(batch, model.device())) {}
  at::Tensor attend(int64_t layer, const TransformerLayer& weights,
                    const at::Tensor& qkv) const override;

 private:
  const Transformer& model_;
  const ops::PackedPlanPtr plan_;
};

/// What adapters add to a batch's linear layers.
class Adapters {
 public:
  virtual ~Adapters() = default;

  /// y [T, out] and the updates of `which` of layer `layer` for x [T, in], each row by its adapter.
  /// May overwrite y where no gradient is recorded.
  virtual at::Tensor add(int64_t layer, FusedLinear which, const at::Tensor& y,
                         const at::Tensor& x) const = 0;
};

/// Rows [begin, end) of a batch that one adapter applies to.
struct AdapterRows {
  const Lora* lora;
  int64_t begin, end;
};

/// Adapters by ranges of rows that do not overlap. Gradients of an adapter are recorded only where
/// it applies to every row.
class RowAdapters : public Adapters {
 public:
  explicit RowAdapters(std::vector<AdapterRows> rows) : rows_(std::move(rows)) {}
  at::Tensor add(int64_t layer, FusedLinear which, const at::Tensor& y,
                 const at::Tensor& x) const override;

 private:
  const std::vector<AdapterRows> rows_;
};

/// [0, num_rows) with `lora`; none where that is null.
RowAdapters adapter_of_all(const Lora* lora, int64_t num_rows);

/// RMS norm of x.sum(), which takes the place of x.hidden; x.delta is then undefined.
at::Tensor add_norm(Residual& x, const at::Tensor& weight, double eps);

/// Layer `layer` of the model: norm, attention, norm, SwiGLU, with their residuals. The last sum is
/// left to the reader of the result. Source: arXiv:2302.13971, section 2.2.
Residual decoder_layer(const Transformer& model, int64_t layer, Residual x,
                       const Attention& attention, const Adapters& adapters);

}  // namespace weft
