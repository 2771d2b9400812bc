#include "model/kernels/attention.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>

#include "model/kernels/kernels.h"
#include "model/kernels/parallel.h"
#include "model/kernels/query_tile.h"

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

SequenceBlocks::SequenceBlocks(const PackedLayout& layout, int64_t tokens_per_row)
    : layout_(layout), per_token_(tokens_per_row) {
  first_.push_back(0);
  for (size_t s = 0; s + 1 < layout.cu_seqlens.size(); ++s) {
    const int64_t rows = (layout.cu_seqlens[s + 1] - layout.cu_seqlens[s]) * per_token_;
    first_.push_back(first_.back() + (rows + kBlockTokens - 1) / kBlockTokens);
  }
}

int64_t SequenceBlocks::length(int64_t s) const {
  return (layout_.cu_seqlens[s + 1] - layout_.cu_seqlens[s]) * per_token_;
}

int64_t SequenceBlocks::prefix_length(int64_t s) const {
  return layout_.prefix[s] < 0 ? 0 : length(layout_.prefix[s]);
}

std::vector<SequenceBlocks::Block> SequenceBlocks::visible(int64_t s) const {
  std::vector<Block> blocks;
  if (layout_.prefix[s] >= 0) append(layout_.prefix[s], 0, blocks);
  append(s, prefix_length(s), blocks);
  return blocks;
}

void SequenceBlocks::append(int64_t s, int64_t base, std::vector<Block>& blocks) const {
  for (int64_t at = 0; at < length(s); at += kBlockTokens) {
    blocks.push_back({first_[s] + at / kBlockTokens, static_cast<int32_t>(base + at),
                      static_cast<int32_t>(std::min(kBlockTokens, length(s) - at))});
  }
}

namespace {

template <class T>
void forward_packed(const at::Tensor& qkv, const PackedLayout& layout, const HeadShape& shape,
                    AttentionResult& result) {
  const SequenceBlocks blocks(layout, 1);
  const at::Tensor store =
      at::zeros({blocks.total(), shape.kv_heads, shape.block_size()}, qkv.options());
  const auto block = [&](int64_t b, int64_t g) {
    return data<T>(store) + (b * shape.kv_heads + g) * shape.block_size();
  };
  const auto items = tile_items(layout, shape.kv_heads);
  parallel_items(items.size(), [&](int64_t i) {
    const TileItem& item = items[i];
    for (int64_t t = item.begin; t < item.end; ++t) {
      const T* row = data<T>(qkv) + (layout.cu_seqlens[item.sequence] + t) * shape.row_size();
      const T* k = row + (shape.heads + item.kv_head) * shape.dim;
      row_kernels<T>().store_kv(block(blocks.first(item.sequence) + t / kBlockTokens, item.kv_head),
                                k, k + shape.kv_heads * shape.dim, t % kBlockTokens, shape.dim);
    }
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

template <class T>
void forward_paged(const at::Tensor& qkv, const at::Tensor& cache,
                   const std::vector<PagedSpan>& spans, const HeadShape& shape, T* out) {
  const auto block = [&](int64_t b, int64_t g) {
    return data<T>(cache) + (b * shape.kv_heads + g) * shape.block_size();
  };
  struct Item {
    int64_t span, kv_head, begin, end;
  };
  std::vector<Item> items;
  for (size_t s = 0; s < spans.size(); ++s) {
    for (int64_t t = 0; t < spans[s].num_tokens; t += kTileTokens) {
      for (int64_t g = 0; g < shape.kv_heads; ++g) {
        items.push_back(
            {static_cast<int64_t>(s), g, t, std::min(spans[s].num_tokens, t + kTileTokens)});
      }
    }
  }
  const auto store = [&](const Item& item) {
    const PagedSpan& span = spans[item.span];
    for (int64_t t = item.begin; t < item.end; ++t) {
      const T* k = data<T>(qkv) + (span.row + t) * shape.row_size() +
                   (shape.heads + item.kv_head) * shape.dim;
      const int64_t at = span.start + t;
      row_kernels<T>().store_kv(block(span.blocks[at / kBlockTokens], item.kv_head), k,
                                k + shape.kv_heads * shape.dim, at % kBlockTokens, shape.dim);
    }
  };
  const auto attend = [&](const Item& item) {
    const PagedSpan& span = spans[item.span];
    BlockList<T> list;
    for (int64_t base = 0; base < span.start + item.end; base += kBlockTokens) {
      list.add(block(span.blocks[base / kBlockTokens], item.kv_head), base, kBlockTokens);
    }
    QueryTile<T> tile(shape, item.kv_head, span.row + item.begin, item.end - item.begin,
                      span.start + item.begin);
    tile.gather(qkv);
    tile.attend(list);
    tile.scatter(tile.out, out, shape.heads * shape.dim);
  };
  parallel_items(items.size(), [&](int64_t i) {
    store(items[i]);
    if (spans[items[i].span].num_tokens == 1) attend(items[i]);
  });
  parallel_items(items.size(), [&](int64_t i) {
    if (spans[items[i].span].num_tokens > 1) attend(items[i]);
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
