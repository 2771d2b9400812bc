/// Pieces that attention's forward and backward share: which blocks a sequence sees, and a tile of
/// query rows gathered for one key/value head.
#pragma once

#include <cstdint>
#include <vector>

#include "model/ops/cpu/attention.h"
#include "model/ops/cpu/kernels.h"

namespace weft::kernels {

constexpr int64_t kTileTokens = 16;

/// Tokens [begin, end) of one sequence for one kv head.
struct TileItem {
  int64_t sequence, kv_head, begin, end;
};
std::vector<TileItem> tile_items(const PackedLayout& layout, int64_t kv_heads);

/// Where the keys of packed sequences lie in blocks. These are counted from the start of the whole
/// text, as the paged cache has them: what follows a prompt fills up a copy of the prompt's last
/// block. So a row adds up in the same order whether it is decoded or trained on.
class KeyBlocks {
 public:
  struct Block {
    int64_t index;
    int32_t base, count;  ///< first token, in its text, and tokens
  };
  explicit KeyBlocks(const PackedLayout& layout);

  int64_t total() const { return first_.back(); }
  /// Tokens before those of `s` in its text.
  int64_t prefix_length(int64_t s) const;
  /// All blocks of the text that `s` ends.
  std::vector<Block> visible(int64_t s) const;

  /// Calls f(row of the batch, block, slot) for tokens [begin, end) of `s`; with its first token
  /// also for those of its prompt that its first block repeats.
  template <class F>
  void for_each_slot(int64_t s, int64_t begin, int64_t end, const F& f) const {
    const int64_t prefix = prefix_length(s);
    for (int64_t at = begin == 0 ? own_base(s) : prefix + begin; at < prefix + end; ++at) {
      const int64_t row = at < prefix ? layout_.cu_seqlens[layout_.prefix[s]] + at
                                      : layout_.cu_seqlens[s] + at - prefix;
      f(row, first_[s] + (at - own_base(s)) / kBlockTokens, at % kBlockTokens);
    }
  }

 private:
  // Of the first block of `s` itself.
  int64_t own_base(int64_t s) const { return prefix_length(s) / kBlockTokens * kBlockTokens; }
  int64_t length(int64_t s) const { return layout_.cu_seqlens[s + 1] - layout_.cu_seqlens[s]; }
  void append(int64_t s, int64_t base, int64_t end, std::vector<Block>& blocks) const;

  const PackedLayout& layout_;
  std::vector<int64_t> first_;
};

/// Where the query rows of packed sequences lie in 16-row blocks, `group` rows for each token.
class QueryBlocks {
 public:
  QueryBlocks(const PackedLayout& layout, int64_t group);

  int64_t total() const { return first_.back(); }
  /// Blocks [first(s), first(s + 1)) are those of `s`.
  int64_t first(int64_t s) const { return first_[s]; }

 private:
  std::vector<int64_t> first_;
};

/// Block pointers as AttendArgs wants them.
template <class T>
struct BlockList {
  std::vector<const T*> pointers;
  std::vector<int32_t> base, count;

  void reserve(int64_t blocks) {
    pointers.reserve(blocks);
    base.reserve(blocks);
    count.reserve(blocks);
  }
  void add(const T* block, int64_t first, int64_t tokens) {
    pointers.push_back(block);
    base.push_back(static_cast<int32_t>(first));
    count.push_back(static_cast<int32_t>(tokens));
  }
};

/// Query rows of some consecutive tokens and one kv head: row = token * group + head in group.
template <class T>
class QueryTile {
 public:
  /// `position` is the index of the first token among those that it attends to.
  QueryTile(const HeadShape& shape, int64_t kv_head, int64_t row, int64_t tokens, int64_t position)
      : shape_(shape), kv_head_(kv_head), row_(row), tokens_(tokens) {
    for (int64_t t = 0; t < tokens; ++t) {
      limit.insert(limit.end(), shape.group(), static_cast<int32_t>(position + t + 1));
    }
  }

  int64_t rows() const { return tokens_ * shape_.group(); }
  int64_t dim() const { return padded_dim(shape_.dim); }

  /// Copies the rows' heads of `x` [T, >= heads dim] to `into` [rows, dim], padded with zeros.
  void gather(const at::Tensor& x, std::vector<T>& into) const {
    into.assign(rows() * dim(), T{});
    const int64_t stride = x.size(1);
    for (int64_t r = 0; r < rows(); ++r) {
      const T* from = data<T>(x) + (row_ + r / shape_.group()) * stride + head(r) * shape_.dim;
      std::copy(from, from + shape_.dim, into.begin() + r * dim());
    }
  }
  void gather(const at::Tensor& x) { gather(x, q); }

  /// `fetched` as in AttendArgs.
  void attend(const BlockList<T>& list, const T* const* fetched = nullptr) {
    out.resize(rows() * dim());
    lse.resize(rows());
    row_kernels<T>().attend({q.data(), limit.data(), rows(), dim(), list.pointers.data(),
                             list.base.data(), list.count.data(),
                             static_cast<int64_t>(list.pointers.size()), shape_.scale(), out.data(),
                             lse.data(), fetched});
  }

  /// Rounds rows [rows, dim] to their heads in `to`, whose rows have `stride` elements.
  void scatter(const std::vector<float>& from, T* to, int64_t stride) const {
    for (int64_t r = 0; r < rows(); ++r) {
      row_kernels<T>().narrow(from.data() + r * dim(),
                              to + (row_ + r / shape_.group()) * stride + head(r) * shape_.dim,
                              shape_.dim);
    }
  }

  /// One number for each row, to or from [T, heads].
  void scatter_scalars(const std::vector<float>& from, float* to) const {
    for (int64_t r = 0; r < rows(); ++r) to[scalar_index(r)] = from[r];
  }
  std::vector<float> gather_scalars(const float* from) const {
    std::vector<float> values(rows());
    for (int64_t r = 0; r < rows(); ++r) values[r] = from[scalar_index(r)];
    return values;
  }

  std::vector<T> q;
  std::vector<int32_t> limit;
  std::vector<float> out, lse;

 private:
  int64_t head(int64_t r) const { return kv_head_ * shape_.group() + r % shape_.group(); }
  int64_t scalar_index(int64_t r) const {
    return (row_ + r / shape_.group()) * shape_.heads + head(r);
  }

  const HeadShape& shape_;
  int64_t kv_head_, row_, tokens_;
};

}  // namespace weft::kernels
