/// Bodies of the kernels that work on rows in training alone: gradients of norm and activation,
/// rotation of packed rows, the loss over logits. See cuda_library.h for what they compute and
/// simt.h for Block.
#pragma once

#include "model/ops/cuda/cuda_library.h"
#include "model/ops/cuda/simt.h"

namespace weft::cuda {

/// Bytes of shared memory that the bodies of one block a row need.
constexpr int64_t kTrainingShared = kWarp * 2 * sizeof(float);

/// One block a row.
template <class T, class Block>
WEFT_SIMT void rms_norm_backward_body(Block& block, const RmsNormBackward& a) {
  constexpr int n = Pack<T>::kSize;
  const int64_t at = block.x() * a.dim;
  const T* g = static_cast<const T*>(a.g_y) + at;
  const T* x = static_cast<const T*>(a.x) + at;
  const T* weight = static_cast<const T*>(a.weight);
  T* out = static_cast<T*>(a.g_x) + at;
  float sum[1] = {0};
  for (int64_t i = block.thread() * n; i < a.dim; i += block.size() * n) {
    const Pack<T> gs = load_pack(g + i), xs = load_pack(x + i), ws = load_pack(weight + i);
    for (int j = 0; j < n; ++j)
      sum[0] += to_float(gs.at[j]) * to_float(ws.at[j]) * to_float(xs.at[j]);
  }
  reduce_block(block, sum, block.template shared<float>(0), Add());
  const float r = a.rstd[block.x()];
  const float along = sum[0] * r * r / static_cast<float>(a.dim);
  for (int64_t i = block.thread() * n; i < a.dim; i += block.size() * n) {
    const Pack<T> gs = load_pack(g + i), ws = load_pack(weight + i);
    Pack<T> xs = load_pack(x + i);
    for (int j = 0; j < n; ++j) {
      const float v = to_float(gs.at[j]) * to_float(ws.at[j]) - to_float(xs.at[j]) * along;
      xs.at[j] = from_float<T>(r * v);
    }
    store_pack(out + i, xs);
  }
}

/// One block some columns, and in the grid's y a share of the rows.
template <class T, class Block>
WEFT_SIMT void norm_weight_gradient_body(Block& block, const RmsNormBackward& a) {
  const int64_t column = block.x() * block.size() + block.thread();
  if (column >= a.dim) return;
  const int64_t share = (a.rows + kNormShares - 1) / kNormShares;
  const int64_t begin = block.y() * share, end = begin + share < a.rows ? begin + share : a.rows;
  float sum = 0;
  for (int64_t row = begin; row < end; ++row) {
    const int64_t i = row * a.dim + column;
    sum += to_float(static_cast<const T*>(a.g_y)[i]) * to_float(static_cast<const T*>(a.x)[i]) *
           a.rstd[row];
  }
  a.g_weight[block.y() * a.dim + column] = sum;
}

/// One block a row, each thread some packs of it: y in the grid's y.
template <class T, class Block>
WEFT_SIMT void silu_mul_backward_body(Block& block, const SiluMulBackward& a) {
  constexpr int n = Pack<T>::kSize;
  const int64_t i = (static_cast<int64_t>(block.y()) * block.size() + block.thread()) * n;
  if (i >= a.dim) return;
  const T* gate = static_cast<const T*>(a.gate_up) + block.x() * 2 * a.dim + i;
  T* out = static_cast<T*>(a.g_gate_up) + block.x() * 2 * a.dim + i;
  const Pack<T> g = load_pack(static_cast<const T*>(a.g_y) + block.x() * a.dim + i);
  Pack<T> x = load_pack(gate), u = load_pack(gate + a.dim);
  for (int j = 0; j < n; ++j) {
    const float v = to_float(x.at[j]), grad = to_float(g.at[j]), up = to_float(u.at[j]);
    const float sigmoid = 1.0f / (1.0f + expf(-v));
    x.at[j] = from_float<T>(grad * up * sigmoid * (1.0f + v * (1.0f - sigmoid)));
    u.at[j] = from_float<T>(grad * v * sigmoid);
  }
  store_pack(out, x);
  store_pack(out + a.dim, u);
}

/// One block a row.
template <class T, class Block>
WEFT_SIMT void rotate_rows_body(Block& block, const RotateRows& a) {
  const int64_t half = a.head_dim / 2;
  const float* angles = a.rope_table + a.positions[block.x()] * a.head_dim;
  T* row = static_cast<T*>(a.x) + block.x() * a.row_size;
  for (int64_t i = block.thread(); i < a.heads * half; i += block.size()) {
    T* low = row + i / half * a.head_dim + i % half;
    const float c = angles[i % half], s = a.sign * angles[half + i % half];
    const float x = to_float(low[0]), y = to_float(low[half]);
    low[0] = from_float<T>(x * c - y * s);
    low[half] = from_float<T>(y * c + x * s);
  }
}

/// One block a row.
template <class Block>
WEFT_SIMT void loss_rows_body(Block& block, const LossRows& a) {
  const int64_t row = block.x();
  const float* logits = a.logits + row * a.size;
  const auto scratch = block.template shared<float>(0);
  float peak[1] = {-INFINITY}, sum[1] = {0};
  for (int64_t i = block.thread(); i < a.size; i += block.size()) {
    peak[0] = Max()(peak[0], block.load(logits + i));
  }
  reduce_block(block, peak, scratch, Max());
  for (int64_t i = block.thread(); i < a.size; i += block.size()) {
    sum[0] += expf((block.load(logits + i) - peak[0]) * a.inverse_temperature);
  }
  reduce_block(block, sum, scratch, Add());
  if (block.thread() != 0) return;
  const float log_sum = logf(sum[0]);
  a.lse[row] = peak[0] * a.inverse_temperature + log_sum;
  a.logp[row] = (block.load(logits + a.targets[row]) - peak[0]) * a.inverse_temperature - log_sum;
}

/// One block a row.
template <class T, class Block>
WEFT_SIMT void logit_gradient_body(Block& block, const LogitGradient& a) {
  const int64_t row = block.x(), target = a.targets[row];
  const float* logits = a.logits + row * a.size;
  T* out = static_cast<T*>(a.gradient) + row * a.size;
  const float lse = a.lse[row], c = a.coefficients[row] * a.inverse_temperature;
  float entropy[1] = {0};
  for (int64_t i = block.thread(); i < a.size; i += block.size()) {
    const float x = block.load(logits + i) * a.inverse_temperature, p = expf(x - lse);
    if (p > 0) entropy[0] += p * (lse - x);
    out[i] = from_float<T>(i == target ? c - c * p : -c * p);
  }
  if (!a.entropy) return;
  reduce_block(block, entropy, block.template shared<float>(0), Add());
  if (block.thread() == 0) a.entropy[row] = entropy[0];
}

}  // namespace weft::cuda
