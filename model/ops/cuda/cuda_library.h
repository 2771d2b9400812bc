/// The interface of libweft_cuda.so to the engine: kernels on raw device memory, and the few
/// services of CUDA that LibTorch's operators do not give. Free of CUDA's types; every function
/// returns 0 or an error that `error_text` explains.
///
/// Keys and values on the GPU: a block of one kv head holds its 16 tokens' keys as [16, dim], then
/// their values as [8, dim, 2], two tokens side by side, so that tensor cores take both from memory
/// without a detour. That differs from the CPU's blocks (see AttendArgs), the size does not: dim is
/// padded_dim(head_dim) in both, and padding and slots that were never written must hold zeros.
/// A layer's cache is [num_blocks, kv_heads, 2 * 16 * dim].
#pragma once

#include <cstddef>
#include <cstdint>

#include "model/ops/cpu/kernel_table.h"

namespace weft::cuda {

enum class Dtype : int32_t { kF32, kBf16 };

/// x [rows, dim] += delta (null: nothing), rounded; y = x / rms(x) * weight.
struct AddRmsNorm {
  void* x;
  const void* delta;
  const void* weight;  ///< [dim]
  void* y;
  int64_t rows, dim;
  float eps;
  Dtype dtype;
  float* rstd;  ///< [rows] gets 1 / rms, or null
};

/// Gradients of y = x / rms(x) * weight: g_x [rows, dim], and unless null the weight's in
/// kNormShares sums over rows that lie side by side, which are to be added.
struct RmsNormBackward {
  const void* g_y;  ///< [rows, dim]
  const void* x;
  const void* weight;
  const float* rstd;  ///< [rows]
  void* g_x;
  float* g_weight;  ///< [kNormShares, dim] or null
  int64_t rows, dim;
  Dtype dtype;
};
constexpr int kNormShares = 64;

/// Of each row of qkv [rows, (heads + 2 kv_heads) head_dim] that has a slot, and of the queries of
/// the others: norms the query and key heads where the weights are given and rotates them, in
/// place; then writes keys and values to the cache.
struct RopeStore {
  void* qkv;
  const void* q_norm;        ///< [head_dim] or null
  const void* k_norm;        ///< [head_dim] or null
  const float* rope_table;   ///< [positions, 2, head_dim / 2]
  const int32_t* positions;  ///< [rows]
  const int32_t* slots;      ///< [rows] block * 16 + place in it, or -1: nothing is written
  void* cache;               ///< of the layer
  int64_t rows, heads, kv_heads, head_dim;
  float eps;  ///< of the norms
  Dtype dtype;
};

/// Most parts that a row's context is computed in.
constexpr int kMostParts = 64;

/// A part of a row's context: blocks [first, last) of its sequence.
struct AttendItem {
  int32_t row, first, last;
  int32_t slot;  ///< where in `partial` its sums go, or -1: the row has no other part
};

/// Rows [row, row + count) of one sequence, all of which see blocks [first, last) of it, for as
/// many tokens as lengths[row]. Row r's sums go in slot first_slot[r] + part.
struct AttendTile {
  int32_t row, count, first, last, part;
};

/// Pairs of a row and one of a kv head's query heads that a tile holds.
constexpr int kTilePairs = 64;

/// Whether attention over the cache runs on tensor cores, and so may have tiles: of `group` query
/// heads for each of keys.
constexpr bool fits_tiles(Dtype dtype, int64_t group, int64_t head_dim) {
  return dtype == Dtype::kBf16 && (head_dim == 64 || head_dim == 128) && group <= 16;
}

/// Softmax attention of rows over the cache. Row r sees the first lengths[r] tokens of the sequence
/// whose blocks are block_list[first_block[r]], ...; with length 0 it gives zeros. Items and tiles
/// cover each context once (attend_plan.h makes them); a row's slots follow its blocks. With `lse`,
/// `out` holds attention to something else, and what it becomes is attention to both.
struct PagedAttention {
  const void* q;  ///< [rows, heads head_dim], rows `q_stride` elements apart
  int64_t q_stride;
  const void* cache;           ///< of the layer
  const int32_t* block_list;   ///< block ids of all sequences
  const int32_t* first_block;  ///< [rows]
  const int32_t* lengths;      ///< [rows]
  const AttendItem* items;     ///< [max_items], of which there are the first *num_items
  const int32_t* num_items;
  const int32_t* first_slot;  ///< [rows + 1]: row r has slots [first_slot[r], first_slot[r + 1])
  float* partial;             ///< [slots, heads, head_dim + 2]: sums, then peak and weight
  void* out;                  ///< [rows, heads head_dim]
  int64_t rows, heads, kv_heads, head_dim, max_items;
  float scale;
  Dtype dtype;
  int64_t slots;            ///< at least first_slot[rows]
  const AttendTile* tiles;  ///< [num_tiles], none unless fits_tiles
  int64_t num_tiles;
  const float* lse;  ///< [heads, rows] log of the sum of exp(scores) of what `out` holds, or null
};

/// y [rows, dim] = silu(gate) * up of gate_up [rows, 2 dim].
struct SiluMul {
  const void* gate_up;
  void* y;
  int64_t rows, dim;
  Dtype dtype;
};

/// g_gate_up [rows, 2 dim] of g_y [rows, dim], both contiguous.
struct SiluMulBackward {
  const void* g_y;
  const void* gate_up;  ///< [rows, 2 dim]
  void* g_gate_up;
  int64_t rows, dim;
  Dtype dtype;
};

/// Rotates the first `heads` heads of each row of x [rows, row_size] in place, by the angles of its
/// position or, backward, by their negatives.
struct RotateRows {
  void* x;
  const float* rope_table;   ///< [positions, 2, head_dim / 2]
  const int32_t* positions;  ///< [rows]
  int64_t rows, row_size, heads, head_dim;
  float sign;  ///< 1 or -1
  Dtype dtype;
};

/// Rows of a tile of the batched low-rank update, and of what its ranks are multiples.
constexpr int kLoraRows = 16;
constexpr int kLoraRanks = 16;

/// Columns of x that are summed together, and how many times so many x has.
constexpr int kLoraChunk = 512;
constexpr int64_t lora_chunks(int64_t in) { return (in + kLoraChunk - 1) / kLoraChunk; }

/// An adapter's weights for one linear layer.
struct LoraWeights {
  const void* a;  ///< [rank, in]
  const void* b;  ///< [out, rank], scaled
  int64_t rank;   ///< 0: none
};

/// Rows [first, first + count) of one adapter, at most kLoraRows.
struct LoraTile {
  int32_t adapter, first, count;
};

/// y [rows, out] += x [rows, in] a^T b^T by each row's adapter, with x a^T rounded to the dtype and
/// y rounded once. Rows in no tile stay as they are.
struct BatchedLora {
  const void* x;
  void* y;
  const LoraTile* tiles;  ///< [rows], of which there are the first *num_tiles
  const int32_t* num_tiles;
  const LoraWeights* weights;  ///< adapter i's are weights[i * stride]
  int64_t stride;
  float* partial;  ///< [rows, lora_chunks(in), max_rank], the kernels' own
  int64_t rows, in, out;
  int64_t max_rank;  ///< at least every rank
  Dtype dtype;
};

/// Which rows of a packed batch see which: row r the rows [prompt_first[r], prompt_last[r]) of the
/// prompt that its sequence shares, none where they are equal, and then [first[r], r].
struct PackedRows {
  const int32_t* first;  ///< [rows]
  const int32_t* prompt_first;
  const int32_t* prompt_last;
  /// Row r is seen by [r, last[r]) and by the ranges [2 i], [2 i + 1] of `readers` with i in
  /// [readers_first[r], readers_last[r]): the sequences that share it as their prompt.
  const int32_t* last;  ///< [rows]
  const int32_t* readers_first;
  const int32_t* readers_last;
  const int32_t* readers;
};

/// Softmax attention inside the sequences of a packed batch.
struct PackedAttention {
  const void* qkv;  ///< [rows, (heads + 2 kv_heads) head_dim], queries and keys rotated
  PackedRows sees;
  void* out;   ///< [rows, heads head_dim]
  float* lse;  ///< [rows, heads] log of the sum of exp(scores)
  int64_t rows, heads, kv_heads, head_dim;
  float scale;
  Dtype dtype;
};

/// Its gradient g_qkv [rows, (heads + 2 kv_heads) head_dim].
struct PackedAttentionBackward {
  PackedAttention forward;
  const void* g_out;  ///< [rows, heads head_dim]
  float* delta;       ///< [rows, heads], of the kernels' own
  void* g_qkv;
};

/// Of each row of logits [rows, size] over the temperature: log sum exp, and the log probability of
/// its target.
struct LossRows {
  const float* logits;
  const int64_t* targets;  ///< [rows]
  float* lse;              ///< [rows]
  float* logp;             ///< [rows]
  int64_t rows, size;
  float inverse_temperature;
};

/// d(loss) / d(logits) of a loss with d(loss) / d(logp) = coefficients [rows]: coefficient (onehot
/// - softmax) / temperature, rounded to the dtype; and each row's entropy in nats.
struct LogitGradient {
  const float* logits;
  const int64_t* targets;
  const float* lse;           ///< [rows] of LossRows
  const float* coefficients;  ///< [rows]
  void* gradient;             ///< [rows, size]
  float* entropy;             ///< [rows] or null
  int64_t rows, size;
  float inverse_temperature;
  Dtype dtype;  ///< of the gradient
};

/// Draws from each row as kernels::KernelTable::sample does. The arguments and results lie on the
/// device, and so do the logits that the arguments point to, fewer than 2^30 of a row.
struct SampleRows {
  const kernels::SampleArgs* args;  ///< [rows]
  kernels::SampleResult* results;   ///< [rows]
  int64_t rows;
};

/// ids[r] = the id of results[of_draw[r]] where of_draw[r] is not negative, 0 where that has none.
struct TakeIds {
  int32_t* ids;                          ///< [rows]
  const int32_t* of_draw;                ///< [rows]
  const kernels::SampleResult* results;  ///< of SampleRows
  int64_t rows;
};

/// Launches on `stream`, a cudaStream_t. head_dim is even; dim of SiluMul and AddRmsNorm, and
/// head_dim, are multiples of 16 / (bytes of an element), and so are in and out of BatchedLora. The
/// last ones are for training.
struct Kernels {
  int32_t (*add_rms_norm)(const AddRmsNorm&, void* stream);
  int32_t (*rope_store)(const RopeStore&, void* stream);
  int32_t (*paged_attention)(const PagedAttention&, void* stream);
  int32_t (*silu_mul)(const SiluMul&, void* stream);
  int32_t (*sample)(const SampleRows&, void* stream);
  int32_t (*take_ids)(const TakeIds&, void* stream);
  int32_t (*batched_lora)(const BatchedLora&, void* stream);
  int32_t (*rms_norm_backward)(const RmsNormBackward&, void* stream);
  int32_t (*silu_mul_backward)(const SiluMulBackward&, void* stream);
  int32_t (*rotate_rows)(const RotateRows&, void* stream);
  int32_t (*packed_attention)(const PackedAttention&, void* stream);
  int32_t (*packed_attention_backward)(const PackedAttentionBackward&, void* stream);
  int32_t (*loss_rows)(const LossRows&, void* stream);
  int32_t (*logit_gradient)(const LogitGradient&, void* stream);
};

/// What a graph records: called once while CUDA captures the stream.
using GraphBody = void (*)(void* context);

struct Services {
  /// Makes a device, and a stream of LibTorch's pool on it, the calling thread's, once what others
  /// gave the device to do is done.
  int32_t (*use_device)(int32_t device);
  void* (*stream)();         ///< the calling thread's current cudaStream_t
  int32_t (*synchronize)();  ///< waits for that stream
  /// Waits for all that any thread gave a device to do.
  int32_t (*settle)(int32_t device);
  int32_t (*memory)(int32_t device, int64_t* free_bytes, int64_t* total_bytes);
  /// Pinned host memory, which copies without waiting.
  int32_t (*pin)(size_t bytes, void** data);
  void (*unpin)(void* data);
  /// Copies on the current stream, to the device or from it.
  int32_t (*copy)(void* to, const void* from, size_t bytes);
  /// Marks what the current stream was given so far, in an event that is made where *event is null.
  int32_t (*record)(void** event);
  int32_t (*wait)(void* event);  ///< the host, for what the event marks
  void (*destroy_event)(void* event);
  /// Records what `body` launches. What it allocates stays the graph's until `destroy`.
  int32_t (*capture)(GraphBody body, void* context, void** graph);
  int32_t (*replay)(void* graph);
  void (*destroy)(void* graph);
};

struct Library {
  Kernels kernels;
  Services services;
  /// Text for an error that a function returned on this thread.
  const char* (*error_text)(int32_t error);
  int8_t device_type;  ///< c10::DeviceType of the tensors on whose memory the kernels run
};

}  // namespace weft::cuda

/// The table, for the process's life.
extern "C" const weft::cuda::Library* weft_cuda_library();
