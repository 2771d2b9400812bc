/// The adapters of a pass on a GPU, as its batched low-rank update reads them.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "model/ops/cuda/cuda_library.h"
#include "model/ops/cuda/cuda_ops.h"
#include "model/ops/cuda/device_context.h"
#include "model/ops/cuda/lora_plan.h"
#include "model/transformer/decoder_layer.h"

namespace weft {

/// A table on the device of where the weights of each adapter lie. What reads it, a recorded graph
/// among others, finds the adapters that were taken last: loading, replacing or removing one
/// changes its rows, not its place. Used by one thread, on one stream.
class AdapterTable {
 public:
  /// Borrows both. Has room for `slots` adapters before it grows.
  AdapterTable(const ops::DeviceContext& context, const Transformer& model, int64_t slots);

  /// Makes the adapters of `rows`, with their weights of now, those of the table; gives the ranges
  /// with the adapters' places in it. The table holds their weights until others take its place.
  std::vector<LoraRows> take(const std::vector<AdapterRows>& rows);

  /// Changes where the table moves, or gets a rank beyond those before: what was recorded with it
  /// must be recorded again.
  int64_t generation() const { return generation_; }

  /// The weights of a linear layer, for the kernels.
  ops::LoraTableView view(int64_t layer, FusedLinear which) const;

  /// Lets go of all adapters. The stream has come to rest.
  void clear() { slots_.clear(); }

 private:
  struct Slot {
    const Lora* lora;                 // null: free
    std::vector<LoraUpdate> updates;  // [layers * kNumFusedLinears]
  };
  size_t slot_of(const Lora* lora);
  bool refresh(Slot& slot) const;
  bool make_room();
  void copy_to_device();

  const ops::DeviceContext& context_;
  const Transformer& model_;
  const int64_t linears_;  // of the model
  std::vector<Slot> slots_;
  at::Tensor table_;  // uint8: LoraWeights [room, linears_]
  int64_t room_ = 0, max_rank_ = 0, generation_ = 0;
  ops::PinnedBuffer staging_;
};

/// The adapters of the table, by the tiles of a pass.
class BatchedAdapters : public Adapters {
 public:
  /// Borrows the table. `tiles` [rows] and `num_tiles` lie on the device.
  BatchedAdapters(const AdapterTable& table, const cuda::LoraTile* tiles, const int32_t* num_tiles)
      : table_(table), tiles_(tiles), num_tiles_(num_tiles) {}

  /// Writes into y.
  at::Tensor add(int64_t layer, FusedLinear which, const at::Tensor& y,
                 const at::Tensor& x) const override {
    ops::add_batched_lora(y, x, tiles_, num_tiles_, table_.view(layer, which));
    return y;
  }

 private:
  const AdapterTable& table_;
  const cuda::LoraTile* const tiles_;
  const int32_t* const num_tiles_;
};

}  // namespace weft
