#include "model/ops/cpu/attention.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>

#include "model/ops/cpu/kernels.h"
#include "model/ops/cpu/parallel.h"
#include "model/ops/cpu/query_tile.h"

namespace weft::kernels {

float HeadShape::scale() const { return 1.0f / std::sqrt(static_cast<float>(dim)); }

std::vector<TileItem> tile_items(const PackedLayout& layout, int64_t kv_heads) {
  std::vector<TileItem> items;
  for (int64_t s = 0; s + 1 < static_cast<int64_t>(layout.cu_seqlens.size()); ++s) {
    const int64_t length = layout.cu_seqlens[s + 1] - layout.cu_seqlens[s];
    for (int64_t t = 0; t < length; t += kTileTokens) {
      for (int64_t g = 0; g < kv_heads; ++g) {
        items.push_back({s, g, t, std::min(length, t + kTileTokens)});
      }
    }
  }
  return items;
}

KeyBlocks::KeyBlocks(const PackedLayout& layout) : layout_(layout), first_{0} {
  for (int64_t s = 0; s + 1 < std::ssize(layout.cu_seqlens); ++s) {
    const int64_t tokens = prefix_length(s) + length(s) - own_base(s);
    first_.push_back(first_.back() + (tokens + kBlockTokens - 1) / kBlockTokens);
  }
}

int64_t KeyBlocks::prefix_length(int64_t s) const {
  return layout_.prefix[s] < 0 ? 0 : length(layout_.prefix[s]);
}

std::vector<KeyBlocks::Block> KeyBlocks::visible(int64_t s) const {
  std::vector<Block> blocks;
  if (layout_.prefix[s] >= 0) append(layout_.prefix[s], 0, own_base(s), blocks);
  append(s, own_base(s), prefix_length(s) + length(s), blocks);
  return blocks;
}

// Adds the blocks of `s`, the first of which begins at token `base`, up to token `end`.
void KeyBlocks::append(int64_t s, int64_t base, int64_t end, std::vector<Block>& blocks) const {
  for (int64_t at = base; at < end; at += kBlockTokens) {
    blocks.push_back({first_[s] + (at - base) / kBlockTokens, static_cast<int32_t>(at),
                      static_cast<int32_t>(std::min(kBlockTokens, end - at))});
  }
}

QueryBlocks::QueryBlocks(const PackedLayout& layout, int64_t group) : first_{0} {
  for (size_t s = 0; s + 1 < layout.cu_seqlens.size(); ++s) {
    const int64_t rows = (layout.cu_seqlens[s + 1] - layout.cu_seqlens[s]) * group;
    first_.push_back(first_.back() + (rows + kBlockTokens - 1) / kBlockTokens);
  }
}

namespace {

template <class T>
void forward_packed(const at::Tensor& qkv, const PackedLayout& layout, const HeadShape& shape,
                    AttentionResult& result) {
  const KeyBlocks blocks(layout);
  const at::Tensor store =
      at::zeros({blocks.total(), shape.kv_heads, shape.block_size()}, qkv.options());
  const auto block = [&](int64_t b, int64_t g) {
    return data<T>(store) + (b * shape.kv_heads + g) * shape.block_size();
  };
  const auto items = tile_items(layout, shape.kv_heads);
  parallel_items(items.size(), [&](int64_t i) {
    const auto& [sequence, g, begin, end] = items[i];
    blocks.for_each_slot(sequence, begin, end, [&](int64_t row, int64_t b, int64_t slot) {
      const T* k = data<T>(qkv) + row * shape.row_size() + (shape.heads + g) * shape.dim;
      row_kernels<T>().store_kv(block(b, g), k, k + shape.kv_heads * shape.dim, slot, shape.dim);
    });
  });
  parallel_items(items.size(), [&](int64_t i) {
    const TileItem& item = items[i];
    BlockList<T> list;
    for (const auto& b : blocks.visible(item.sequence)) {
      list.add(block(b.index, item.kv_head), b.base, b.count);
    }
    const int64_t row = layout.cu_seqlens[item.sequence];
    QueryTile<T> tile(shape, item.kv_head, row + item.begin, item.end - item.begin,
                      blocks.prefix_length(item.sequence) + item.begin);
    tile.gather(qkv);
    tile.attend(list);
    tile.scatter(tile.out, data<T>(result.out), shape.heads * shape.dim);
    tile.scatter_scalars(tile.lse, data<float>(result.lse));
  });
}

// Of a span that would be one tile for each head: more than one, so that threads can share it.
constexpr int64_t kShortTileTokens = 4;

// Tiles of the new tokens of paged sequences.
template <class T>
class PagedTiles {
 public:
  PagedTiles(const at::Tensor& qkv, const at::Tensor& cache, const std::vector<PagedSpan>& spans,
             const HeadShape& shape)
      : qkv_(qkv),
        cache_(data<T>(cache)),
        block_stride_(cache.stride(0)),
        spans_(spans),
        shape_(shape) {
    for (int64_t s = 0; s < std::ssize(spans); ++s) {
      const int64_t tokens = spans[s].num_tokens;
      const int64_t tile = tokens <= kTileTokens ? kShortTileTokens : kTileTokens;
      for (int64_t t = 0; t < tokens; t += tile) {
        for (int64_t g = 0; g < shape.kv_heads; ++g) {
          items_.push_back({s, g, t, std::min(tokens, t + tile)});
        }
      }
    }
  }

  int64_t size() const { return std::ssize(items_); }
  bool is_of_one_token(int64_t i) const { return span(i).num_tokens == 1; }

  void store(int64_t i) const {
    for (int64_t t = items_[i].begin; t < items_[i].end; ++t) {
      const T* k = data<T>(qkv_) + (span(i).row + t) * shape_.row_size() +
                   (shape_.heads + items_[i].kv_head) * shape_.dim;
      const int64_t at = span(i).start + t;
      row_kernels<T>().store_kv(block(i, at / kBlockTokens), k, k + shape_.kv_heads * shape_.dim,
                                at % kBlockTokens, shape_.dim);
    }
  }

  void attend(int64_t i, T* out) const {
    const TileItem& item = items_[i];
    BlockList<T> list;
    list.reserve(num_blocks(i));
    for (int64_t b = 0; b < num_blocks(i); ++b) {
      list.add(block(i, b), b * kBlockTokens, kBlockTokens);
    }
    QueryTile<T> tile(shape_, item.kv_head, span(i).row + item.begin, item.end - item.begin,
                      span(i).start + item.begin);
    tile.gather(qkv_);
    tile.attend(list, blocks_ahead(i).data());
    tile.scatter(tile.out, out, shape_.heads * shape_.dim);
  }

 private:
  const PagedSpan& span(int64_t i) const { return spans_[items_[i].sequence]; }

  // Blocks that tile i reads.
  int64_t num_blocks(int64_t i) const {
    return (span(i).start + items_[i].end + kBlockTokens - 1) / kBlockTokens;
  }

  T* block(int64_t i, int64_t b) const {
    return cache_ + span(i).blocks[b] * block_stride_ + items_[i].kv_head * shape_.block_size();
  }

  // For each block of tile i the one that is read kFetchAheadBytes later, in this tile or in the
  // next ones.
  std::vector<const T*> blocks_ahead(int64_t i) const {
    const int64_t block_bytes = shape_.block_size() * static_cast<int64_t>(sizeof(T));
    const int64_t blocks = num_blocks(i);
    std::vector<const T*> ahead(blocks, block(i, 0));
    int64_t later = i, at = std::max<int64_t>(1, kFetchAheadBytes / block_bytes);
    for (int64_t b = 0; b < blocks; ++b, ++at) {
      while (later < size() && at >= num_blocks(later)) {
        at -= num_blocks(later);
        ++later;
      }
      if (later >= size()) break;
      ahead[b] = block(later, at);
    }
    return ahead;
  }

  const at::Tensor& qkv_;
  T* const cache_;
  const int64_t block_stride_;
  const std::vector<PagedSpan>& spans_;
  const HeadShape& shape_;
  std::vector<TileItem> items_;
};

template <class T>
void forward_paged(const at::Tensor& qkv, const at::Tensor& cache,
                   const std::vector<PagedSpan>& spans, const HeadShape& shape, T* out) {
  const PagedTiles<T> tiles(qkv, cache, spans, shape);
  parallel_shares(tiles.size(), 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      tiles.store(i);
      if (tiles.is_of_one_token(i)) tiles.attend(i, out);
    }
  });
  parallel_shares(tiles.size(), 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      if (!tiles.is_of_one_token(i)) tiles.attend(i, out);
    }
  });
}

}  // namespace

AttentionResult packed_attention(const at::Tensor& qkv, const PackedLayout& layout,
                                 const HeadShape& shape) {
  AttentionResult result;
  result.out = at::empty({qkv.size(0), shape.heads * shape.dim}, qkv.options());
  result.lse = at::empty({qkv.size(0), shape.heads}, qkv.options().dtype(at::kFloat));
  with_row_type(qkv.scalar_type(),
                [&](auto tag) { forward_packed<decltype(tag)>(qkv, layout, shape, result); });
  return result;
}

at::Tensor paged_attention(const at::Tensor& qkv, const at::Tensor& cache,
                           const std::vector<PagedSpan>& spans, const HeadShape& shape) {
  at::Tensor out = at::empty({qkv.size(0), shape.heads * shape.dim}, qkv.options());
  with_row_type(qkv.scalar_type(), [&](auto tag) {
    using T = decltype(tag);
    forward_paged<T>(qkv, cache, spans, shape, data<T>(out));
  });
  return out;
}

}  // namespace weft::kernels
