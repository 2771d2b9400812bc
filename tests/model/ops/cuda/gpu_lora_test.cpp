// The batched low-rank update on the fake device, its bodies on fibers, against the CPU's products.
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <gtest/gtest.h>

#include <cmath>

#include "model/ops/cpu/kernels.h"
#include "model/ops/cuda/lora_plan.h"
#include "tests/model/ops/cuda/gpu_tensors.h"

namespace weft {
namespace {

using test::on_gpu;
using test::pointer;
using test::random_tensor;

/// Adapters 0 and 1, adapter 2 without an update for this layer, and the rows that they apply to.
struct LoraCase {
  int64_t in, out, rows;
  at::ScalarType dtype;
  std::vector<LoraRows> ranges;

  at::Tensor x() const { return random_tensor({rows, in}, dtype, 1); }
  at::Tensor y() const { return random_tensor({rows, out}, dtype, 2); }
  at::Tensor a(int32_t adapter) const {
    return random_tensor({rank(adapter), in}, dtype, 3 + adapter);
  }
  at::Tensor b(int32_t adapter) const {
    return random_tensor({out, rank(adapter)}, dtype, 7 + adapter);
  }
  // More than lie in shared memory at once, and fewer.
  static int64_t rank(int32_t adapter) { return adapter == 0 ? 16 : 144; }

  /// y afterwards, by the GPU's kernels.
  at::Tensor on_the_gpu() const {
    const at::Tensor mine = on_gpu(x()), result = on_gpu(y());
    std::vector<at::Tensor> kept;
    std::vector<cuda::LoraWeights> weights;
    const cuda::LoraWeights of_another_layer{nullptr, nullptr, 0};
    for (const int32_t adapter : {0, 1}) {
      kept.push_back(on_gpu(a(adapter)));
      kept.push_back(on_gpu(b(adapter)));
      weights.push_back({pointer(kept[kept.size() - 2]), pointer(kept.back()), rank(adapter)});
      weights.push_back(of_another_layer);
    }
    weights.push_back({nullptr, nullptr, 0});
    std::vector<cuda::LoraTile> planned = plan_lora(ranges);
    const at::Tensor count = on_gpu(std::vector{static_cast<int32_t>(planned.size())});
    planned.resize(rows);
    const at::Tensor table = on_gpu(weights), tiles = on_gpu(planned);
    const at::Tensor partial =
        at::full({rows, cuda::lora_chunks(in), 160}, NAN, mine.options().dtype(at::kFloat));
    test::expect_launched(test::gpu_kernels().batched_lora(
        {pointer(mine), pointer(result), pointer<cuda::LoraTile>(tiles), pointer<int32_t>(count),
         pointer<cuda::LoraWeights>(table), 2, partial.data_ptr<float>(), rows, in, out, 160,
         test::dtype_of(mine)},
        nullptr));
    return result.cpu();
  }

  int32_t adapter_of(int64_t row) const {
    for (const auto& [adapter, begin, end] : ranges) {
      if (begin <= row && row < end) return adapter;
    }
    return -1;
  }
};

class GpuLora : public testing::TestWithParam<at::ScalarType> {};
INSTANTIATE_TEST_SUITE_P(Each, GpuLora, testing::Values(at::kFloat, at::kBFloat16),
                         [](const auto& info) {
                           return info.param == at::kFloat ? "F32" : "Bf16";
                         });

// x a^T sums `in` products in fp32 on both and is rounded to the dtype, so that the two differ by
// its last place, or in fp32 by in 2^-24 of the terms' magnitudes; b multiplies that by its
// magnitudes. y is rounded once, in fp32 once for each 128 ranks.
TEST_P(GpuLora, AddsWhatTheCpuAdds) {
  const bool wide = GetParam() == at::kFloat;
  for (const auto& [in, out] : {std::pair{64, 24}, {520, 264}, {1096, 40}}) {
    const LoraCase c{in, out, 25, GetParam(), {{1, 0, 1}, {0, 2, 20}, {2, 20, 21}, {1, 21, 24}}};
    const at::Tensor got = c.on_the_gpu(), x = c.x(), y = c.y();
    for (int64_t row = 0; row < c.rows; ++row) {
      const int32_t adapter = c.adapter_of(row);
      const at::Tensor mine = got.narrow(0, row, 1), before = y.narrow(0, row, 1);
      if (adapter < 0 || adapter == 2) {
        EXPECT_TRUE(at::equal(mine, before)) << row;
        continue;
      }
      const at::Tensor a = c.a(adapter), b = c.b(adapter), of_row = x.narrow(0, row, 1);
      const at::Tensor inner = kernels::linear(of_row, a);
      at::Tensor expected = before.clone();
      kernels::add_linear(expected, inner, b, expected);
      const at::Tensor magnitude =
          wide ? of_row.abs().matmul(a.t().abs()) : inner.to(at::kFloat).abs();
      const double inner_error = wide ? static_cast<double>(in) * 0x1p-24 : 0x1p-8;
      const at::Tensor bound = magnitude.matmul(b.to(at::kFloat).t().abs()) * inner_error +
                               expected.to(at::kFloat).abs() * (wide ? 0x1p-20 : 0x1p-7);
      const at::Tensor error = (mine.to(at::kFloat) - expected.to(at::kFloat)).abs();
      EXPECT_LE((error / bound).max().item<float>(), 1) << row << " of " << in << " x " << out;
    }
  }
}

TEST_P(GpuLora, ARowsBitsDoNotDependOnTheOthers) {
  const LoraCase all{520, 264, 37, GetParam(), {{0, 0, 20}, {1, 20, 37}}};
  const at::Tensor got = all.on_the_gpu();
  for (const int64_t row : {0, 17, 19, 20, 36}) {
    LoraCase alone = all;
    alone.ranges = {{all.adapter_of(row), row, row + 1}};
    EXPECT_TRUE(at::equal(alone.on_the_gpu().select(0, row), got.select(0, row))) << row;
  }
}

TEST_P(GpuLora, WithoutTilesNothingIsWritten) {
  const LoraCase none{64, 24, 3, GetParam(), {}};
  EXPECT_TRUE(at::equal(none.on_the_gpu(), none.y()));
}

}  // namespace
}  // namespace weft
