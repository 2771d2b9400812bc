// The GPU kernels on the fake device, their bodies on fibers, against the CPU kernels that do the
// same.
#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "model/ops/cpu/attention.h"
#include "model/ops/cpu/kernels.h"
#include "model/ops/cuda/attend_plan.h"
#include "model/ops/cuda/cuda_library.h"
#include "tests/model/ops/cuda/gpu_tensors.h"

namespace weft {
namespace {

using kernels::HeadShape;
using test::dtype_of;
using test::expect_launched;
using test::gpu_kernels;
using test::on_gpu;
using test::pointer;
using test::random_tensor;
using test::worst_difference;

class GpuKernels : public testing::TestWithParam<at::ScalarType> {
 protected:
  // Results of about `size` that sum `terms` products in fp32 and are rounded once to the dtype.
  double tolerance(double size, double terms) const {
    return size * (GetParam() == at::kFloat ? terms * 0x1p-24 : 0x1p-7);
  }
};

INSTANTIATE_TEST_SUITE_P(Each, GpuKernels, testing::Values(at::kFloat, at::kBFloat16),
                         [](const auto& info) {
                           return info.param == at::kFloat ? "F32" : "Bf16";
                         });

TEST_P(GpuKernels, NormsRowsAsTheCpuDoes) {
  for (const int64_t dim : {8, 64, 576, 3584}) {
    const at::Tensor x = random_tensor({3, dim}, GetParam(), 1);
    const at::Tensor delta = random_tensor({3, dim}, GetParam(), 2);
    const at::Tensor w = random_tensor({dim}, GetParam(), 3);
    for (const bool with_delta : {false, true}) {
      const at::Tensor change = with_delta ? delta : at::Tensor();
      const at::Tensor mine = on_gpu(x), theirs = x.clone(), y = at::empty_like(mine);
      const at::Tensor added = on_gpu(change), weight = on_gpu(w);
      expect_launched(gpu_kernels().add_rms_norm({pointer(mine), pointer(added), pointer(weight),
                                                  pointer(y), 3, dim, 1e-6f, dtype_of(x), nullptr},
                                                 nullptr));
      const at::Tensor expected = kernels::add_rms_norm(theirs, change, w, 1e-6);
      EXPECT_EQ(worst_difference(mine, theirs), 0);
      EXPECT_LE(worst_difference(y, expected), tolerance(16, 16)) << dim;
    }
  }
}

TEST_P(GpuKernels, ActivatesAsTheCpuDoes) {
  for (const int64_t dim : {8, 1000, 18944}) {
    const at::Tensor gate_up = random_tensor({2, 2 * dim}, GetParam(), 4);
    const at::Tensor x = on_gpu(gate_up), y = at::empty({2, dim}, x.options());
    expect_launched(gpu_kernels().silu_mul({pointer(x), pointer(y), 2, dim, dtype_of(y)}, nullptr));
    EXPECT_LE(worst_difference(y, kernels::silu_mul(gate_up)), tolerance(16, 4)) << dim;
  }
}

/// Rows of one layer, their cache on the GPU, and what the CPU makes of the same rows.
struct AttentionCase {
  HeadShape shape;
  at::ScalarType dtype;
  int64_t tokens;
  bool head_norms = false;

  int64_t blocks() const { return (tokens + 15) / 16; }
  int64_t cache_blocks() const { return blocks() + 3; }
  // The sequence's blocks lie backwards in the cache, after one that is not its own.
  std::vector<int32_t> block_table() const {
    std::vector<int32_t> table(blocks());
    for (int64_t b = 0; b < blocks(); ++b) table[b] = static_cast<int32_t>(blocks() - b);
    return table;
  }
  std::vector<int32_t> slots() const {
    std::vector<int32_t> slots(tokens);
    const auto table = block_table();
    for (int64_t t = 0; t < tokens; ++t) {
      slots[t] = static_cast<int32_t>(table[t / 16] * 16 + t % 16);
    }
    return slots;
  }
  at::Tensor rows() const { return random_tensor({tokens, shape.row_size()}, dtype, 5); }
  at::Tensor norm(uint64_t seed) const {
    return head_norms ? random_tensor({shape.dim}, dtype, seed) : at::Tensor();
  }
  at::Tensor rope_table() const {
    return random_tensor({tokens + 7, 2, shape.dim / 2}, at::kFloat, 8);
  }
  at::Tensor empty_cache(at::Device device = test::fake::device()) const {
    return at::zeros({cache_blocks(), shape.kv_heads, shape.block_size()},
                     at::TensorOptions(dtype).device(device));
  }
  std::vector<int32_t> positions() const {
    std::vector<int32_t> positions(tokens);
    std::iota(positions.begin(), positions.end(), 7);
    return positions;
  }

  /// Rotated rows as the CPU computes them.
  at::Tensor rotated() const {
    at::Tensor qkv = rows();
    if (head_norms) {
      const auto heads = [&](int64_t first, int64_t count, const at::Tensor& weight) {
        const at::Tensor part = qkv.narrow(1, first * shape.dim, count * shape.dim);
        return kernels::add_rms_norm(part.reshape({-1, shape.dim}), {}, weight, 1e-6)
            .view({tokens, -1});
      };
      qkv = at::cat(
          {heads(0, shape.heads, norm(6)), heads(shape.heads, shape.kv_heads, norm(7)),
           qkv.narrow(1, (shape.heads + shape.kv_heads) * shape.dim, shape.kv_heads * shape.dim)},
          1);
    }
    at::Tensor index = at::empty({tokens}, at::kInt);
    const auto wanted = positions();
    std::copy(wanted.begin(), wanted.end(), index.data_ptr<int32_t>());
    kernels::rope(qkv, rope_table(), index, shape.heads + shape.kv_heads, shape.dim, 1.0f);
    return qkv;
  }

  /// Runs rope_store; gives the rows afterwards.
  at::Tensor store(const at::Tensor& cache, const std::vector<int32_t>& to) const {
    const at::Tensor qkv = on_gpu(rows()), table = on_gpu(rope_table());
    const at::Tensor q_norm = on_gpu(norm(6)), k_norm = on_gpu(norm(7));
    const at::Tensor places = on_gpu(positions()), slot_list = on_gpu(to);
    expect_launched(gpu_kernels().rope_store(
        {pointer(qkv), pointer(q_norm), pointer(k_norm), table.const_data_ptr<float>(),
         pointer<int32_t>(places), pointer<int32_t>(slot_list), pointer(cache), tokens, shape.heads,
         shape.kv_heads, shape.dim, 1e-6f, dtype_of(qkv)},
        nullptr));
    return qkv;
  }

  /// Keys and values [tokens, kv_heads dim] of the sequence, by the layout of cuda_library.h.
  std::pair<at::Tensor, at::Tensor> stored(const at::Tensor& cache) const {
    const int64_t dim = kernels::padded_dim(shape.dim);
    const at::Tensor host = cache.cpu(), list = at::empty({blocks()}, at::kLong);
    const auto table = block_table();
    std::copy(table.begin(), table.end(), list.data_ptr<int64_t>());
    const at::Tensor own = host.index_select(0, list);  // [blocks, kv_heads, 2 16 dim]
    const auto by_token = [&](const at::Tensor& t) {    // of [blocks, kv_heads, 16, dim]
      return t.permute({0, 2, 1, 3})
          .reshape({-1, shape.kv_heads, dim})
          .narrow(0, 0, tokens)
          .narrow(2, 0, shape.dim)
          .reshape({tokens, -1});
    };
    const at::Tensor k = own.narrow(2, 0, 16 * dim).view({-1, shape.kv_heads, 16, dim});
    const at::Tensor v = own.narrow(2, 16 * dim, 16 * dim).view({-1, shape.kv_heads, 8, dim, 2});
    return {by_token(k), by_token(v.transpose(3, 4).reshape({-1, shape.kv_heads, 16, dim}))};
  }

  /// Attends from each row to the first lengths[row] tokens of the cache.
  at::Tensor attend(const at::Tensor& qkv, const at::Tensor& cache,
                    const std::vector<int32_t>& lengths, const AttendPlan& plan) const {
    const int64_t num_items = std::ssize(plan.items);
    const auto floats = qkv.options().dtype(at::kFloat);
    const at::Tensor out = at::full({tokens, shape.heads * shape.dim}, 99, qkv.options());
    const at::Tensor partial = at::full({num_items, shape.heads, shape.dim + 2}, NAN, floats);
    const at::Tensor first = on_gpu(std::vector<int32_t>(tokens, 0));
    const at::Tensor table = on_gpu(block_table()), seen = on_gpu(lengths);
    const at::Tensor items = on_gpu(plan.items), slots = on_gpu(plan.first_slot);
    const at::Tensor count = on_gpu(std::vector{static_cast<int32_t>(num_items)});
    expect_launched(gpu_kernels().paged_attention({pointer(qkv),
                                                   shape.row_size(),
                                                   pointer(cache),
                                                   pointer<int32_t>(table),
                                                   pointer<int32_t>(first),
                                                   pointer<int32_t>(seen),
                                                   pointer<cuda::AttendItem>(items),
                                                   pointer<int32_t>(count),
                                                   pointer<int32_t>(slots),
                                                   partial.data_ptr<float>(),
                                                   pointer(out),
                                                   tokens,
                                                   shape.heads,
                                                   shape.kv_heads,
                                                   shape.dim,
                                                   num_items,
                                                   shape.scale(),
                                                   dtype_of(qkv),
                                                   num_items,
                                                   nullptr,
                                                   0,
                                                   nullptr},
                                                  nullptr));
    return out;
  }
  std::vector<int32_t> causal() const {
    std::vector<int32_t> lengths(tokens);
    std::iota(lengths.begin(), lengths.end(), 1);
    return lengths;
  }
};

TEST_P(GpuKernels, RotateNormAndStoreAsTheCpuDoes) {
  for (AttentionCase c :
       {AttentionCase{{7, 1, 64}, GetParam(), 20}, AttentionCase{{4, 2, 128}, GetParam(), 17, true},
        AttentionCase{{3, 3, 24}, GetParam(), 5, true}}) {
    const at::Tensor cache = c.empty_cache();
    const at::Tensor qkv = c.store(cache, c.slots());
    const at::Tensor expected = c.rotated();
    const int64_t q = c.shape.heads * c.shape.dim, kv = c.shape.kv_heads * c.shape.dim;
    const double tolerated = c.head_norms ? tolerance(16, 16) : tolerance(8, 2);
    EXPECT_LE(worst_difference(qkv.narrow(1, 0, q), expected.narrow(1, 0, q)), tolerated);

    const auto [k, v] = c.stored(cache);
    EXPECT_LE(worst_difference(k, expected.narrow(1, q, kv)), tolerated);
    EXPECT_EQ(worst_difference(v, expected.narrow(1, q + kv, kv)), 0);
    EXPECT_EQ(worst_difference(k, qkv.narrow(1, q, kv)), 0) << "stays in place, too";
    EXPECT_EQ(cache.select(0, 0).abs().max().item<double>(), 0) << "wrote to another's block";
  }
}

TEST_P(GpuKernels, RowsWithoutASlotStoreNothing) {
  const AttentionCase c{{4, 2, 64}, GetParam(), 9};
  const at::Tensor cache = c.empty_cache();
  c.store(cache, std::vector<int32_t>(c.tokens, -1));
  EXPECT_EQ(cache.abs().max().item<double>(), 0);
}

/// Parts of so many blocks of tokens.
AttendPlan cut(const std::vector<int32_t>& lengths, int32_t part) {
  AttendPlan plan{{}, {0}, {}};
  for (int32_t row = 0; row < std::ssize(lengths); ++row) {
    const int32_t blocks = (lengths[row] + 15) / 16;
    int32_t slot = plan.first_slot.back();
    for (int32_t b = 0; b < blocks; b += part) {
      plan.items.push_back({row, b, std::min(b + part, blocks), blocks <= part ? -1 : slot++});
    }
    plan.first_slot.push_back(slot);
  }
  return plan;
}

// Weighted means of normal values: at most about 5, weights rounded to the dtype as on the CPU.
// Scores differ by fp32 rounding alone, 4e-5 (see attention_kernels_test.cpp).
double attention_tolerance(at::ScalarType dtype) { return dtype == at::kFloat ? 2e-4 : 5 * 0x1p-7; }

TEST_P(GpuKernels, AttendAsTheCpuDoes) {
  for (const HeadShape& shape :
       {HeadShape{7, 1, 128}, HeadShape{10, 2, 128}, HeadShape{3, 1, 64}, HeadShape{16, 1, 64},
        HeadShape{2, 2, 64}, HeadShape{34, 2, 64}, HeadShape{4, 2, 48}, HeadShape{6, 3, 24}}) {
    for (const int32_t part : {1, 2}) {
      const AttentionCase c{shape, GetParam(), 18 * part};
      const at::Tensor cache = c.empty_cache();
      const at::Tensor mine =
          c.attend(c.store(cache, c.slots()), cache, c.causal(), cut(c.causal(), part));
      const auto table = c.block_table();
      const at::Tensor theirs = kernels::paged_attention(c.rotated(), c.empty_cache(at::kCPU),
                                                         {{0, c.tokens, 0, table.data()}}, shape);
      EXPECT_LE(worst_difference(mine, theirs), attention_tolerance(GetParam()))
          << shape.heads << " heads on " << shape.kv_heads << " of " << shape.dim << ", parts of "
          << part;
    }
  }
}

// Rows on both sides of where a block, a part and the next part end; the others see nothing.
TEST_P(GpuKernels, AttendOverLongContextsByThePlan) {
  for (const HeadShape& shape : {HeadShape{3, 1, 64}, HeadShape{2, 1, 48}}) {
    const AttentionCase c{shape, GetParam(), 530};
    std::vector<int32_t> lengths(c.tokens, 0);
    for (const int32_t length : {1, 16, 17, 256, 257, 512, 513, 530}) lengths[length - 1] = length;
    const at::Tensor cache = c.empty_cache();
    const at::Tensor qkv = c.store(cache, c.slots());
    const at::Tensor mine = c.attend(qkv, cache, lengths, plan_attention(lengths));
    const auto table = c.block_table();
    const at::Tensor theirs = kernels::paged_attention(c.rotated(), c.empty_cache(at::kCPU),
                                                       {{0, c.tokens, 0, table.data()}}, shape);
    for (int64_t row = 0; row < c.tokens; ++row) {
      const at::Tensor got = mine.select(0, row);
      if (lengths[row] == 0) {
        EXPECT_EQ(got.abs().max().item<double>(), 0) << row;
        continue;
      }
      EXPECT_LE(worst_difference(got, theirs.select(0, row)), attention_tolerance(GetParam()))
          << row;
      std::vector<int32_t> alone(c.tokens, 0);
      alone[row] = lengths[row];
      const at::Tensor same = c.attend(qkv, cache, alone, plan_attention(alone)).select(0, row);
      EXPECT_EQ(worst_difference(got, same), 0) << row << ": the rows beside it change its bits";
    }
  }
}

TEST_P(GpuKernels, RowsWithoutContextAttendToNothing) {
  for (const int64_t dim : {64, 48}) {
    const AttentionCase c{{4, 2, dim}, GetParam(), 3};
    const at::Tensor cache = c.empty_cache();
    const std::vector<int32_t> none(3, 0);
    const at::Tensor out = c.attend(c.store(cache, c.slots()), cache, none, plan_attention(none));
    EXPECT_EQ(out.abs().max().item<double>(), 0);
  }
}

}  // namespace
}  // namespace weft
