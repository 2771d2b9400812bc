/// Bodies of the kernels that work on rows: norm, rotation and KV write, activation. See
/// cuda_library.h for what they compute and simt.h for Block.
#pragma once

#include "model/ops/cuda/cuda_library.h"
#include "model/ops/cuda/simt.h"

namespace weft::cuda {

constexpr int kSlotTokens = 16;

/// Bytes of shared memory that add_rms_norm_body needs.
constexpr int64_t kNormShared = kWarp * sizeof(float);

/// One block a row.
template <class T, class Block>
WEFT_SIMT void add_rms_norm_body(Block& block, const AddRmsNorm& a) {
  constexpr int n = Pack<T>::kSize;
  T* x = static_cast<T*>(a.x) + block.x() * a.dim;
  T* y = static_cast<T*>(a.y) + block.x() * a.dim;
  const T* weight = static_cast<const T*>(a.weight);
  const T* delta = a.delta ? static_cast<const T*>(a.delta) + block.x() * a.dim : nullptr;
  float sum[1] = {0};
  for (int64_t i = block.thread() * n; i < a.dim; i += block.size() * n) {
    Pack<T> v = load_pack(x + i);
    if (delta) {
      const Pack<T> d = load_pack(delta + i);
      for (int j = 0; j < n; ++j) v.at[j] = from_float<T>(to_float(v.at[j]) + to_float(d.at[j]));
      store_pack(x + i, v);
    }
    for (int j = 0; j < n; ++j) sum[0] += to_float(v.at[j]) * to_float(v.at[j]);
  }
  reduce_block(block, sum, block.template shared<float>(0), Add());
  const float inverse = 1.0f / sqrtf(sum[0] / static_cast<float>(a.dim) + a.eps);
  if (a.rstd && block.thread() == 0) a.rstd[block.x()] = inverse;
  for (int64_t i = block.thread() * n; i < a.dim; i += block.size() * n) {
    Pack<T> v = load_pack(x + i);
    const Pack<T> w = load_pack(weight + i);
    for (int j = 0; j < n; ++j) {
      v.at[j] = from_float<T>(to_float(v.at[j]) * inverse * to_float(w.at[j]));
    }
    store_pack(y + i, v);
  }
}

/// One block a row, each thread some packs of it: y in the grid's y.
template <class T, class Block>
WEFT_SIMT void silu_mul_body(Block& block, const SiluMul& a) {
  constexpr int n = Pack<T>::kSize;
  const T* gate = static_cast<const T*>(a.gate_up) + block.x() * 2 * a.dim;
  T* y = static_cast<T*>(a.y) + block.x() * a.dim;
  const int64_t i = (static_cast<int64_t>(block.y()) * block.size() + block.thread()) * n;
  if (i >= a.dim) return;
  Pack<T> g = load_pack(gate + i);
  const Pack<T> u = load_pack(gate + a.dim + i);
  for (int j = 0; j < n; ++j) {
    const float x = to_float(g.at[j]);
    g.at[j] = from_float<T>(x / (1.0f + expf(-x)) * to_float(u.at[j]));
  }
  store_pack(y + i, g);
}

/// Where a slot's block of one kv head begins.
template <class T>
WEFT_SIMT T* slot_block(T* cache, int64_t slot, int64_t kv_head, int64_t kv_heads, int64_t dim) {
  return cache + (slot / kSlotTokens * kv_heads + kv_head) * 2 * kSlotTokens * dim;
}

WEFT_SIMT int64_t stored_dim(int64_t head_dim) { return (head_dim + 15) / 16 * 16; }

/// Where dimension 0 of a token's value lies in its block's values; the others follow 2 apart.
WEFT_SIMT int64_t value_place(int64_t token, int64_t stored) {
  return token / 2 * 2 * stored + token % 2;
}

/// Norms (where `weight` is given) and rotates one head in place as one warp does, pairs (i, i +
/// dim / 2), each by one lane. Norms are rounded to T before they are rotated.
template <class T, class Block>
WEFT_SIMT void rotate_head(Block& block, const RopeStore& a, const T* weight, const float* angles,
                           T* head) {
  const int lane = block.thread() % kWarp;
  const int64_t half = a.head_dim / 2;
  float inverse = 1;
  if (weight) {
    float sum = 0;
    for (int64_t i = lane; i < a.head_dim; i += kWarp) sum += to_float(head[i]) * to_float(head[i]);
    sum = reduce_warp(block, sum, Add());
    inverse = 1.0f / sqrtf(sum / static_cast<float>(a.head_dim) + a.eps);
  }
  for (int64_t i = lane; i < half; i += kWarp) {
    float x = to_float(head[i]), y = to_float(head[half + i]);
    if (weight) {
      x = to_float(from_float<T>(x * inverse * to_float(weight[i])));
      y = to_float(from_float<T>(y * inverse * to_float(weight[half + i])));
    }
    const float c = angles[i], s = angles[half + i];
    head[i] = from_float<T>(x * c - y * s);
    head[half + i] = from_float<T>(y * c + x * s);
  }
}

/// One block a row, one warp a head in turn.
template <class T, class Block>
WEFT_SIMT void rope_store_body(Block& block, const RopeStore& a) {
  const int64_t row = block.x(), dim = a.head_dim, stored = stored_dim(dim);
  const int warps = block.size() / kWarp, lane = block.thread() % kWarp;
  T* q = static_cast<T*>(a.qkv) + row * (a.heads + 2 * a.kv_heads) * dim;
  T* k = q + a.heads * dim;
  const T* v = k + a.kv_heads * dim;
  const float* angles = a.rope_table + a.positions[row] * dim;
  const int64_t slot = a.slots[row], place = slot % kSlotTokens;
  for (int64_t h = block.thread() / kWarp; h < a.heads + 2 * a.kv_heads; h += warps) {
    if (h < a.heads) {
      rotate_head(block, a, static_cast<const T*>(a.q_norm), angles, q + h * dim);
      continue;
    }
    if (slot < 0) continue;
    const int64_t g = (h - a.heads) % a.kv_heads;
    T* stored_at = slot_block(static_cast<T*>(a.cache), slot, g, a.kv_heads, stored);
    if (h < a.heads + a.kv_heads) {
      T* key = k + g * dim;
      rotate_head(block, a, static_cast<const T*>(a.k_norm), angles, key);
      for (int64_t i = lane; i < dim / 2; i += kWarp) {  // each lane what it rotated
        stored_at[place * stored + i] = key[i];
        stored_at[place * stored + dim / 2 + i] = key[dim / 2 + i];
      }
      continue;
    }
    T* values = stored_at + kSlotTokens * stored + value_place(place, stored);
    for (int64_t i = lane; i < dim; i += kWarp) values[2 * i] = v[g * dim + i];
  }
}

/// One block.
template <class Block>
WEFT_SIMT void take_ids_body(Block& block, const TakeIds& a) {
  for (int64_t r = block.thread(); r < a.rows; r += block.size()) {
    const int32_t draw = a.of_draw[r];
    if (draw < 0) continue;
    const int64_t id = a.results[draw].id;
    a.ids[r] = id < 0 ? 0 : static_cast<int32_t>(id);
  }
}

}  // namespace weft::cuda
