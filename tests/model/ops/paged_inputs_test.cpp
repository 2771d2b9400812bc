// Attention of a pass that has prompts: its rows to each other by flash attention, to the cache by
// tiles and items. Built twice, as devices_test.cpp.
#include "model/ops/paged_inputs.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "model/ops/cpu/attention.h"
#include "model/ops/cpu/kernels.h"
#include "model/ops/cuda/cuda_ops.h"
#include "model/ops/tensor_device.h"
#include "tests/support/gpu_under_test.h"

namespace weft {
namespace {

using kernels::HeadShape;
using kernels::PagedSpan;
using ops::HostPagedInputs;

at::Device gpu() { return tensor_device(test::the_gpu().device); }

at::Tensor of_ints(const std::vector<int32_t>& values) {
  at::Tensor t = at::empty({std::ssize(values)}, at::kInt);
  std::copy(values.begin(), values.end(), t.data_ptr<int32_t>());
  return t;
}

double worst_difference(const at::Tensor& a, const at::Tensor& b) {
  EXPECT_EQ(a.sizes(), b.sizes());
  return (a.cpu().to(at::kDouble) - b.cpu().to(at::kDouble)).abs().max().item<double>();
}

/// A sequence of a pass: what it had before, and how much the pass adds.
struct Sequence {
  int64_t start, added;
};

constexpr Sequence kSequences[] = {{0, 20}, {300, 1}, {40, 25}, {0, 1}, {16, 2}};
constexpr int64_t kLongest = 310;

/// The sequences' rows and blocks, on the CPU and on the GPU.
class Pass {
 public:
  explicit Pass(const HeadShape& shape) : shape_(shape) {
    int32_t block = 1;
    for (const auto& [start, added] : kSequences) {
      for (int64_t t = 0; t < start + added; t += kernels::kBlockTokens) {
        tables_[std::ssize(rows_)].push_back(block++);
      }
      rows_.push_back(at::randn({start + added, shape.row_size()}).to(at::kBFloat16));
    }
    num_blocks_ = block;
    table_ = at::randn({kLongest, 2, shape.dim / 2});
    cpu_cache_ = cache(at::kCPU);
    gpu_cache_ = cache(gpu());
  }

  /// What the rows before the pass leave in the caches.
  void fill() {
    const std::vector<PagedSpan> before = spans(false);
    on_cpu(before, rows(false));
    on_gpu(HostPagedInputs::from_cache(before, rows(false).size(0)), rows(false));
  }
  at::Tensor expected() { return on_cpu(spans(true), rows(true)); }
  at::Tensor of_own_rows() {
    return on_gpu(HostPagedInputs::of_own_rows(spans(true), shape_), rows(true));
  }
  at::Tensor from_cache() {
    return on_gpu(HostPagedInputs::from_cache(spans(true), rows(true).size(0)), rows(true));
  }
  std::vector<PagedSpan> spans(bool added) const {
    std::vector<PagedSpan> spans;
    int64_t row = 0;
    for (size_t s = 0; s < std::size(kSequences); ++s) {
      const auto [start, more] = kSequences[s];
      const int64_t count = added ? more : start;
      if (count > 0) spans.push_back({row, count, added ? start : 0, tables_[s].data()});
      row += count;
    }
    return spans;
  }

 private:
  at::Tensor cache(at::Device device) const {
    return at::zeros({num_blocks_, shape_.kv_heads, shape_.block_size()},
                     at::TensorOptions(at::kBFloat16).device(device));
  }
  at::Tensor rows(bool added) const {
    std::vector<at::Tensor> parts;
    for (size_t s = 0; s < rows_.size(); ++s) {
      const auto [start, more] = kSequences[s];
      parts.push_back(added ? rows_[s].narrow(0, start, more) : rows_[s].narrow(0, 0, start));
    }
    return at::cat(parts);
  }
  at::Tensor on_cpu(const std::vector<PagedSpan>& spans, at::Tensor qkv) {
    std::vector<int32_t> positions(qkv.size(0));
    for (const PagedSpan& span : spans) {
      const auto first = positions.begin() + span.row;
      std::iota(first, first + span.num_tokens, static_cast<int32_t>(span.start));
    }
    kernels::rope(qkv, table_, of_ints(positions), shape_.heads + shape_.kv_heads, shape_.dim,
                  1.0f);
    return kernels::paged_attention(qkv, cpu_cache_, spans, shape_);
  }
  at::Tensor on_gpu(const HostPagedInputs& host, const at::Tensor& qkv) {
    const at::Tensor inputs = of_ints(host.packed()).to(gpu());
    return ops::rotary_paged_attention(qkv.to(gpu()), {{}, {}, 1e-6}, table_.to(gpu()),
                                       ops::PagedInputs(host, inputs), gpu_cache_, shape_);
  }

  HeadShape shape_;
  std::vector<int32_t> tables_[std::size(kSequences)];
  std::vector<at::Tensor> rows_;  // of each sequence
  int64_t num_blocks_;
  at::Tensor table_, cpu_cache_, gpu_cache_;
};

// Means of normal values, at most about 5: rounded to bf16 once by the CPU, and on the GPU before
// and after what the pass's own rows give is merged with the rest, whose weights are rounded, too.
constexpr double kTolerance = 5 * 0x1p-7;

TEST(PagedInputs, RowsOfAPassAttendToEachOtherAndToTheCache) {
  if (test::the_gpu().device.library == nullptr) GTEST_SKIP() << test::the_gpu().reason;
  ops::install_cuda_forms(test::the_gpu().device);
  for (const HeadShape& shape : {HeadShape{7, 1, 128}, HeadShape{6, 2, 64}, HeadShape{16, 1, 64}}) {
    Pass pass(shape);
    const auto inputs = HostPagedInputs::of_own_rows(pass.spans(true), shape);
    ASSERT_GT(inputs.attention.tiles.size(), 2u);
    ASSERT_GT(inputs.attention.items.size(), 0u);
    pass.fill();
    const at::Tensor expected = pass.expected();
    EXPECT_LE(worst_difference(pass.of_own_rows(), expected), kTolerance) << shape.heads;
    EXPECT_LE(worst_difference(pass.from_cache(), expected), kTolerance) << shape.heads;
  }
}

TEST(PagedInputs, OnlyWhatTheTensorCoresTakeHasTiles) {
  const auto takes = [](at::ScalarType dtype, const HeadShape& shape, bool with_context) {
    return ops::takes_own_rows(dtype, shape, with_context);
  };
  EXPECT_TRUE(takes(at::kBFloat16, {28, 4, 128}, true));
  EXPECT_FALSE(takes(at::kFloat, {28, 4, 128}, false));
  EXPECT_FALSE(takes(at::kBFloat16, {28, 4, 96}, true));
  EXPECT_TRUE(takes(at::kBFloat16, {28, 4, 96}, false));
  EXPECT_FALSE(takes(at::kBFloat16, {34, 2, 64}, true));
}

}  // namespace
}  // namespace weft
