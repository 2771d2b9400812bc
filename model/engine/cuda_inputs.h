/// What a step on the GPU reads beside weights and cache: one array of int32, copied at once.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "model/device/cuda/cuda_library.h"
#include "model/engine/paged_forward.h"
#include "model/transformer/decoder_layer.h"

namespace weft {

/// A step as the host writes it; names as in cuda_library.h.
struct HostInputs {
  int64_t rows = 0;
  std::vector<int32_t> ids, positions, slots, first_block, lengths;  // [rows]
  std::vector<int32_t> block_list;
  // For flash attention: every token that some row sees, span after span.
  std::vector<int32_t> context_slots;
  std::vector<int32_t> row_ends, context_ends;  // [spans + 1], from 0
  int64_t longest_span = 0, longest_context = 0;
  std::vector<int64_t> wanted;  // rows whose logits are
  std::vector<AdapterRows> adapters;

  /// `rows` is at least the tokens of the spans; the rest have no slot and no context.
  HostInputs(const std::vector<StepSpan>& spans, int64_t rows, bool with_context);

  /// All arrays one behind the other, block_list last.
  std::vector<int32_t> packed() const;
};

/// The same on the device: views of one tensor, at places that depend on the sizes alone.
struct CudaInputs {
  int64_t rows = 0;
  at::Tensor ids;  ///< [rows] int32
  const int32_t* positions = nullptr;
  const int32_t* slots = nullptr;
  const int32_t* first_block = nullptr;
  const int32_t* lengths = nullptr;
  const int32_t* block_list = nullptr;
  const int32_t* context_slots = nullptr;
  int64_t num_context = 0;
  at::Tensor row_ends, context_ends;
  int64_t longest_span = 0, longest_context = 0;

  CudaInputs() = default;
  /// `all` holds host.packed().
  CudaInputs(const HostInputs& host, const at::Tensor& all);
};

/// Pinned host memory that grows, from which copies go on while the CPU does. Before it is written
/// again the stream must have come to rest.
class PinnedBuffer {
 public:
  explicit PinnedBuffer(const cuda::Library& library) : library_(library) {}
  ~PinnedBuffer();
  PinnedBuffer(const PinnedBuffer&) = delete;
  PinnedBuffer& operator=(const PinnedBuffer&) = delete;

  /// At least `bytes`, for what will be copied; waits for an earlier copy. Throws Error.
  void* reserve(size_t bytes);

  /// Starts the copy of the first `bytes` to the device.
  void copy_to(void* device, size_t bytes);

  /// Says that the stream has come to rest.
  void rested() { busy_ = false; }

 private:
  void check(int32_t status) const;

  const cuda::Library& library_;
  void* data_ = nullptr;
  size_t size_ = 0;
  bool busy_ = false;
};

}  // namespace weft
