/// Inner loops of the CPU kernels, compiled once for each instruction set and chosen at run time.
/// They work on raw rows and know neither tensors nor threads; `kernels.h` is what others call.
#pragma once

#include <cstdint>

namespace weft::kernels {

/// Storage of a bfloat16.
struct Bf16 {
  uint16_t bits;
};

/// What is read from memory is fetched this long before its use: far enough to hide the memory,
/// near enough to stay in L2.
constexpr int64_t kFetchAheadBytes = 1 << 16;

/// Tokens in one block of keys and values.
constexpr int64_t kBlockTokens = 16;

/// Head dimension as stored in blocks: a multiple of 16, padded with zeros.
constexpr int64_t padded_dim(int64_t head_dim) { return (head_dim + 15) / 16 * 16; }

/// Softmax attention of some query rows over the blocks of one key/value head.
///
/// A block holds 16 tokens: keys as [dim / p, 16, p], then values as [16 / p, dim, p], p = 2 for
/// bf16 and 1 for f32, so that one vector instruction covers 16 tokens or 16 dimensions.
template <class T>
struct AttendArgs {
  const T* q;            ///< [rows, dim]
  const int32_t* limit;  ///< [rows] tokens visible to the row, at least 1
  int64_t rows;
  int64_t dim;             ///< padded_dim(head_dim)
  const T* const* blocks;  ///< [num_blocks]
  const int32_t* base;     ///< [num_blocks] index of the block's first token
  const int32_t* count;    ///< [num_blocks] tokens in the block
  int64_t num_blocks;
  float scale;              ///< of the scores
  float* out;               ///< [rows, dim]
  float* lse;               ///< [rows] log sum exp of the scaled scores
  const T* const* fetched;  ///< [num_blocks] blocks to fetch into the cache meanwhile, or null
};

/// Gradient of `attend` with respect to its queries. Blocks are written by store_kv(k, k) and
/// store_kv(v, v), so that keys and values are there in both layouts.
template <class T>
struct AttendQueryGradArgs {
  const T* q;            ///< [rows, dim]
  const T* g_out;        ///< [rows, dim]
  const int32_t* limit;  ///< [rows], as in AttendArgs
  const float* lse;      ///< [rows]
  const float* delta;    ///< [rows] dot product of g_out and out
  int64_t rows;
  int64_t dim;
  const T* const* k_blocks;  ///< [num_blocks]
  const T* const* v_blocks;  ///< [num_blocks]
  const int32_t* base;       ///< [num_blocks]
  const int32_t* count;      ///< [num_blocks]
  int64_t num_blocks;
  float scale;
  float* g_q;  ///< [rows, dim]
};

/// Gradient with respect to some keys and values. Here the blocks hold query rows and their output
/// gradients, and a block carries lse, delta and limit of its 16 rows (limit 0 where it has fewer).
template <class T>
struct AttendKeyGradArgs {
  const T* k;            ///< [rows, dim]
  const T* v;            ///< [rows, dim]
  const int32_t* index;  ///< [rows] index of the token: visible to limits above it
  int64_t rows;
  int64_t dim;
  const T* const* q_blocks;  ///< [num_blocks]
  const T* const* g_blocks;  ///< [num_blocks]
  const float* const* lse;   ///< [num_blocks] pointers to [16]
  const float* const* delta;
  const int32_t* const* limit;
  int64_t num_blocks;
  float scale;
  float* g_k;  ///< [rows, dim]
  float* g_v;  ///< [rows, dim]
};

/// Columns [n0, n1) of x w^T, added up in fp32, plus `bias` and `added` where they are given;
/// rounded once where it goes to `rounded`.
template <class T>
struct GemmArgs {
  const T* x = nullptr;  ///< [m, k], or what pack_rows made of it where that is given
  const T* w = nullptr;  ///< [n, k]
  int64_t m = 0, n = 0, k = 0;
  int64_t n0 = 0, n1 = 0;
  const T* bias = nullptr;   ///< [n], or null
  const T* added = nullptr;  ///< [m, n], or null; may be `rounded`
  float* f32 = nullptr;      ///< [m, n], or null
  T* rounded = nullptr;      ///< [m, n], or null: exactly one is given
};

template <class T>
struct RowKernels {
  /// x += delta where delta is given; y = x / rms(x) * w; rstd may be null.
  void (*rms_norm)(T* x, const T* delta, const T* w, T* y, float* rstd, int64_t rows, int64_t dim,
                   float eps);
  /// gx [rows, dim]; gw [dim] f32 is added to, or null.
  void (*rms_norm_backward)(const T* gy, const T* x, const T* w, const float* rstd, T* gx,
                            float* gw, int64_t rows, int64_t dim);
  /// y [rows, dim] = silu(gate) * up of gate_up [rows, 2 dim].
  void (*silu_mul)(const T* gate_up, T* y, int64_t rows, int64_t dim);
  void (*silu_mul_backward)(const T* gy, const T* gate_up, T* g_gate_up, int64_t rows, int64_t dim);
  /// Rotates `heads` heads of one token in place; table [2, dim / 2]: cosines, sines. sign -1
  /// undoes.
  void (*rope)(T* x, const float* table, float sign, int64_t heads, int64_t dim);
  /// Writes one token's key and value [dim] into slot `slot` of a block.
  void (*store_kv)(T* block, const T* k, const T* v, int64_t slot, int64_t dim);
  float (*dot)(const T* x, const T* y, int64_t n);
  /// Sum of x^2 in double.
  double (*sum_of_squares)(const T* x, int64_t n);
  /// Rounds n floats to T.
  void (*narrow)(const float* x, T* y, int64_t n);
  /// q = whole numbers nearest to x / step with step = max |x| / limit, limit at most 32767;
  /// returns the step: 0 where max |x| is below 1e-30 and NaN where an x is not finite (q is 0 in
  /// both).
  float (*round_row)(const T* x, int16_t* q, int64_t n, float limit);
  void (*attend)(const AttendArgs<T>&);
  void (*attend_query_grad)(const AttendQueryGradArgs<T>&);
  void (*attend_key_grad)(const AttendKeyGradArgs<T>&);
  /// A number of the product has the same bits whatever m, n0 and n1 are.
  void (*gemm)(const GemmArgs<T>&);
  /// Lays x [rows, k] out as gemm wants it: packed_size(rows, k) numbers, 64-byte aligned. 16 rows
  /// lie together; those after a multiple of 16 rows can be packed apart. Null: gemm takes x as it
  /// is.
  void (*pack_rows)(const T* x, int64_t rows, int64_t k, T* packed);
};

/// Draws from the softmax of a row of logits.
struct SampleArgs {
  const float* logits;  ///< [size]
  int64_t size;
  double uniform;  ///< in [0, 1)
  float temperature;
  float top_p;
  float min_p;
  int64_t top_k;
};
struct SampleResult {
  int64_t id = -1;             ///< -1 where a logit is NaN or all are -inf
  float logprob = 0;           ///< of the raw distribution
  float sampling_logprob = 0;  ///< of the distribution drawn from
};

/// Rows of a matrix that an int8 product computes together.
constexpr int64_t kInt8Block = 16;

/// out [m, n] columns of some blocks of x w^T, with x and w as whole numbers times their rows'
/// steps.
struct Int8GemmArgs {
  const int16_t* x;      ///< [m, pairs, 2]
  const float* x_steps;  ///< [m]
  const int8_t* w;       ///< [ceil(n / 16), pairs, 16, 2]
  const float* w_steps;  ///< [16 ceil(n / 16)]
  int64_t m;
  int64_t n;
  int64_t pairs;        ///< of columns of w
  int64_t first_block;  ///< of 16 rows of w
  int64_t last_block;   ///< not computed
  float* f32;           ///< [m, n], or null
  Bf16* bf16;           ///< [m, n], or null: exactly one is given
};

/// Rows and columns of a matrix are filled up to tiles of 16 x 32.
constexpr int64_t packed_size(int64_t rows, int64_t k) {
  return (rows + 15) / 16 * 16 * ((k + 31) / 32 * 32);
}

struct TokenLogprob {
  float logprob;  ///< the bits that `sample` gives for that id with nothing cut
  float lse;      ///< log sum exp of logits / temperature
};

struct KernelTable {
  const char* name;        ///< of the instruction set
  bool has_bf16_products;  ///< multiplies bf16 faster than f32
  RowKernels<float> f32;
  RowKernels<Bf16> bf16;
  void (*gemm_int8)(const Int8GemmArgs&);
  float (*log_sum_exp)(const float* logits, int64_t size);
  /// Of softmax(logits [size] / temperature) at `id`; temperature > 0.
  TokenLogprob (*logprob)(const float* logits, int64_t size, int64_t id, float temperature);
  /// logits [size] -> scale * softmax(logits) in place, given their log_sum_exp; its entropy, nats.
  float (*scaled_softmax)(float* logits, int64_t size, float lse, float scale);
  SampleResult (*sample)(const SampleArgs&);
};

/// The best table that this CPU and its kernel run.
const KernelTable& kernel_table();

const KernelTable& table_generic();
const KernelTable& table_avx2();
const KernelTable& table_avx512_bf16();
/// table_avx512_bf16 with products on matrix tiles.
const KernelTable& table_amx();

}  // namespace weft::kernels
