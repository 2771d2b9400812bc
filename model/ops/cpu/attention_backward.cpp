#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros.h>

#include <algorithm>

#include "model/ops/cpu/attention.h"
#include "model/ops/cpu/parallel.h"
#include "model/ops/cpu/query_tile.h"

namespace weft::kernels {
namespace {

template <class T>
class PackedBackward {
 public:
  PackedBackward(const at::Tensor& g_out, const at::Tensor& qkv, const AttentionResult& forward,
                 const PackedLayout& layout, const HeadShape& shape)
      : g_out_(g_out),
        qkv_(qkv),
        forward_(forward),
        layout_(layout),
        shape_(shape),
        keys_(layout),
        queries_(layout, shape.group()),
        items_(tile_items(layout, shape.kv_heads)) {
    k_store_ = make_store(keys_.total());
    v_store_ = make_store(keys_.total());
    q_store_ = make_store(queries_.total());
    g_store_ = make_store(queries_.total());
    const int64_t lanes = queries_.total() * shape.kv_heads * kBlockTokens;
    lse_.resize(lanes);
    delta_.resize(lanes);
    limit_.resize(lanes);
    token_delta_.resize(qkv.size(0) * shape.heads);
    children_.resize(layout.prefix.size());
    for (size_t s = 0; s < layout.prefix.size(); ++s) {
      if (layout.prefix[s] >= 0) children_[layout.prefix[s]].push_back(static_cast<int64_t>(s));
    }
  }

  at::Tensor run() {
    result_ = at::empty_like(qkv_);
    const auto for_items = [&](void (PackedBackward::*step)(const TileItem&)) {
      parallel_items(items_.size(), [&](int64_t i) { (this->*step)(items_[i]); });
    };
    for_items(&PackedBackward::store_tile);
    for_items(&PackedBackward::query_gradient);
    for_items(&PackedBackward::key_gradient);
    return result_;
  }

 private:
  at::Tensor make_store(int64_t blocks) const {
    return at::zeros({blocks, shape_.kv_heads, shape_.block_size()}, qkv_.options());
  }
  T* block(const at::Tensor& store, int64_t index, int64_t kv_head) const {
    return data<T>(store) + (index * shape_.kv_heads + kv_head) * shape_.block_size();
  }
  int64_t lane(int64_t index, int64_t kv_head) const {
    return (index * shape_.kv_heads + kv_head) * kBlockTokens;
  }
  const T* key_row(int64_t row, int64_t kv_head) const {
    return data<T>(qkv_) + row * shape_.row_size() + (shape_.heads + kv_head) * shape_.dim;
  }
  QueryTile<T> tile_of(const TileItem& item) const {
    return QueryTile<T>(shape_, item.kv_head, layout_.cu_seqlens[item.sequence] + item.begin,
                        item.end - item.begin, keys_.prefix_length(item.sequence) + item.begin);
  }

  void store_tile(const TileItem& item) {
    const auto& kernels = row_kernels<T>();
    const int64_t dim = shape_.dim, g = item.kv_head;
    keys_.for_each_slot(item.sequence, item.begin, item.end,
                        [&](int64_t row, int64_t b, int64_t slot) {
                          const T *k = key_row(row, g), *v = k + shape_.kv_heads * dim;
                          kernels.store_kv(block(k_store_, b, g), k, k, slot, dim);
                          kernels.store_kv(block(v_store_, b, g), v, v, slot, dim);
                        });
    const QueryTile<T> tile = tile_of(item);
    std::vector<T> q, grad, out;
    tile.gather(qkv_, q);
    tile.gather(g_out_, grad);
    tile.gather(forward_.out, out);
    const std::vector<float> lse = tile.gather_scalars(data<float>(forward_.lse));
    std::vector<float> delta(tile.rows());
    for (int64_t r = 0; r < tile.rows(); ++r) {
      const int64_t row = item.begin * shape_.group() + r, slot = row % kBlockTokens;
      const int64_t b = queries_.first(item.sequence) + row / kBlockTokens;
      const T *q_row = q.data() + r * tile.dim(), *g_row = grad.data() + r * tile.dim();
      kernels.store_kv(block(q_store_, b, g), q_row, q_row, slot, dim);
      kernels.store_kv(block(g_store_, b, g), g_row, g_row, slot, dim);
      delta[r] = kernels.dot(g_row, out.data() + r * tile.dim(), tile.dim());
      const int64_t at = lane(b, g) + slot;
      lse_[at] = lse[r];
      delta_[at] = delta[r];
      limit_[at] = tile.limit[r];
    }
    tile.scatter_scalars(delta, token_delta_.data());
  }

  void query_gradient(const TileItem& item) {
    BlockList<T> keys;
    std::vector<const T*> values;
    for (const auto& b : keys_.visible(item.sequence)) {
      keys.add(block(k_store_, b.index, item.kv_head), b.base, b.count);
      values.push_back(block(v_store_, b.index, item.kv_head));
    }
    QueryTile<T> tile = tile_of(item);
    std::vector<T> grad;
    tile.gather(qkv_);
    tile.gather(g_out_, grad);
    const auto lse = tile.gather_scalars(data<float>(forward_.lse));
    const auto delta = tile.gather_scalars(token_delta_.data());
    std::vector<float> g_q(tile.rows() * tile.dim());
    row_kernels<T>().attend_query_grad(
        {tile.q.data(), grad.data(), tile.limit.data(), lse.data(), delta.data(), tile.rows(),
         tile.dim(), keys.pointers.data(), values.data(), keys.base.data(), keys.count.data(),
         static_cast<int64_t>(values.size()), shape_.scale(), g_q.data()});
    tile.scatter(g_q, data<T>(result_), shape_.row_size());
  }

  void key_gradient(const TileItem& item) {
    const int64_t s = item.sequence, g = item.kv_head, dim = padded_dim(shape_.dim);
    std::vector<const T*> q, grad;
    std::vector<const float*> lse, delta;
    std::vector<const int32_t*> limit;
    const auto add = [&](int64_t first, int64_t last) {
      for (int64_t b = first; b < last; ++b) {
        q.push_back(block(q_store_, b, g));
        grad.push_back(block(g_store_, b, g));
        lse.push_back(lse_.data() + lane(b, g));
        delta.push_back(delta_.data() + lane(b, g));
        limit.push_back(limit_.data() + lane(b, g));
      }
    };
    add(queries_.first(s) + item.begin * shape_.group() / kBlockTokens, queries_.first(s + 1));
    for (int64_t child : children_[s]) add(queries_.first(child), queries_.first(child + 1));
    const int64_t rows = item.end - item.begin, first = layout_.cu_seqlens[s] + item.begin;
    std::vector<T> k(rows * dim), v(rows * dim);
    std::vector<int32_t> index(rows);
    for (int64_t r = 0; r < rows; ++r) {
      const T* from = key_row(first + r, g);
      std::copy(from, from + shape_.dim, k.begin() + r * dim);
      from += shape_.kv_heads * shape_.dim;
      std::copy(from, from + shape_.dim, v.begin() + r * dim);
      index[r] = static_cast<int32_t>(keys_.prefix_length(s) + item.begin + r);
    }
    std::vector<float> g_k(rows * dim), g_v(rows * dim);
    row_kernels<T>().attend_key_grad({k.data(), v.data(), index.data(), rows, dim, q.data(),
                                      grad.data(), lse.data(), delta.data(), limit.data(),
                                      static_cast<int64_t>(q.size()), shape_.scale(), g_k.data(),
                                      g_v.data()});
    for (int64_t r = 0; r < rows; ++r) {
      T* to = data<T>(result_) + (first + r) * shape_.row_size() + (shape_.heads + g) * shape_.dim;
      row_kernels<T>().narrow(g_k.data() + r * dim, to, shape_.dim);
      row_kernels<T>().narrow(g_v.data() + r * dim, to + shape_.kv_heads * shape_.dim, shape_.dim);
    }
  }

  const at::Tensor &g_out_, &qkv_;
  const AttentionResult& forward_;
  const PackedLayout& layout_;
  const HeadShape& shape_;
  KeyBlocks keys_;
  QueryBlocks queries_;
  std::vector<TileItem> items_;
  at::Tensor k_store_, v_store_, q_store_, g_store_, result_;
  std::vector<float> lse_, delta_, token_delta_;
  std::vector<int32_t> limit_;
  std::vector<std::vector<int64_t>> children_;
};

}  // namespace

at::Tensor packed_attention_backward(const at::Tensor& g_out, const at::Tensor& qkv,
                                     const AttentionResult& forward, const PackedLayout& layout,
                                     const HeadShape& shape) {
  return with_row_type(qkv.scalar_type(), [&](auto tag) {
    return PackedBackward<decltype(tag)>(g_out, qkv, forward, layout, shape).run();
  });
}

}  // namespace weft::kernels
