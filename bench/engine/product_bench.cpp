// What one order of sums costs: products x [m, k] w [n, k]^T as the engine and the trainer's
// forward compute them (each row with the same bits in every batch) beside LibTorch's, in f32 and
// bf16 on one thread. Shapes are SmolLM2-135M's; m is 1 in decoding, 64 in a batch, 2,048 in a
// microbatch. Google Benchmark's options.
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/randn.h>
#include <benchmark/benchmark.h>

#include <cstdint>

#include "model/ops/cpu/kernels.h"

namespace {

template <class Product>
void product(benchmark::State& state, at::ScalarType dtype, const Product& multiply) {
  const at::NoGradGuard no_grad;
  const int64_t m = state.range(0), n = state.range(1), k = state.range(2);
  const at::Tensor x = at::randn({m, k}).to(dtype), w = at::randn({n, k}).to(dtype);
  for (auto _ : state) benchmark::DoNotOptimize(multiply(x, w));
  state.SetItemsProcessed(state.iterations() * 2 * m * n * k);
}

void ours(benchmark::State& state, at::ScalarType dtype) {
  product(state, dtype, [](const auto& x, const auto& w) { return weft::kernels::linear(x, w); });
}

void libtorch(benchmark::State& state, at::ScalarType dtype) {
  product(state, dtype, [](const auto& x, const auto& w) { return at::linear(x, w); });
}

void shapes(benchmark::internal::Benchmark* bench) {
  for (const int64_t m : {1, 8, 64, 2048}) {
    bench->Args({m, 3072, 576})->Args({m, 576, 1536});
  }
  bench->Args({256, 49152, 576})->MinTime(0.3);
}

BENCHMARK_CAPTURE(ours, f32, at::kFloat)->Apply(shapes);
BENCHMARK_CAPTURE(libtorch, f32, at::kFloat)->Apply(shapes);
BENCHMARK_CAPTURE(ours, bf16, at::kBFloat16)->Apply(shapes);
BENCHMARK_CAPTURE(libtorch, bf16, at::kBFloat16)->Apply(shapes);

}  // namespace

int main(int argc, char** argv) {
  at::set_num_threads(1);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
