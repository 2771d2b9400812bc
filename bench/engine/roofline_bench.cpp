// What this machine can do at best on two threads: bytes read from memory (in huge pages, as
// weights are), and products of bf16 matrices as LibTorch multiplies them. Google Benchmark's
// options; the report reads its JSON.
#include <ATen/Parallel.h>
#include <ATen/ops/fill.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/ones.h>
#include <benchmark/benchmark.h>

#include <cstdint>

#include "model/ops/cpu/mapped_tensor.h"

namespace {

constexpr int kThreads = 2;
constexpr int64_t kLanes = 8;
constexpr int64_t kReadBytes = int64_t{1} << 30;  // far above any cache

typedef uint64_t Lanes __attribute__((vector_size(8 * kLanes)));

// Four sums, so that no addition waits for the one before.
__attribute__((target_clones("avx512f", "avx2", "default"))) uint64_t sum_of(const Lanes* p,
                                                                             int64_t count) {
  Lanes a{}, b{}, c{}, d{};
  for (int64_t i = 0; i + 4 <= count; i += 4) {
    a += p[i];
    b += p[i + 1];
    c += p[i + 2];
    d += p[i + 3];
  }
  const Lanes all = a + b + c + d;
  uint64_t sum = 0;
  for (int64_t i = 0; i < kLanes; ++i) sum += all[i];
  return sum;
}

void memory_read(benchmark::State& state) {
  const at::Tensor memory = weft::kernels::mapped_tensor({kReadBytes}, at::kByte).fill_(1);
  const auto* first = static_cast<const Lanes*>(memory.const_data_ptr());
  constexpr int64_t part = kReadBytes / static_cast<int64_t>(sizeof(Lanes)) / kThreads;
  for (auto _ : state) {
    at::parallel_for(0, kThreads, 1, [&](int64_t begin, int64_t end) {
      for (int64_t t = begin; t < end; ++t) {
        benchmark::DoNotOptimize(sum_of(first + t * part, part));
      }
    });
  }
  state.SetBytesProcessed(state.iterations() * kReadBytes);
}

// x [m, k] times w [n, k] transposed; counts multiplications and additions.
void matmul_bf16(benchmark::State& state) {
  const int64_t m = state.range(0), n = state.range(1), k = state.range(2);
  const at::Tensor x = at::ones({m, k}, at::kBFloat16), w = at::ones({n, k}, at::kBFloat16);
  for (auto _ : state) benchmark::DoNotOptimize(at::linear(x, w));
  state.SetItemsProcessed(state.iterations() * 2 * m * n * k);
}

BENCHMARK(memory_read)->UseRealTime();
BENCHMARK(matmul_bf16)->Args({2048, 1536, 576})->Args({2048, 2048, 2048})->UseRealTime();

}  // namespace

int main(int argc, char** argv) {
  at::set_num_threads(kThreads);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
