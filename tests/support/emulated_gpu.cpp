#include "tests/support/emulated_gpu.h"

#include <cstdlib>
#include <cstring>

#include "model/device/cuda/attention_bodies.h"
#include "model/device/cuda/row_bodies.h"
#include "model/device/cuda/sample_body.h"
#include "tests/support/fiber_block.h"

namespace weft::test {
namespace {

using namespace cuda;

// Fewer threads than on the GPU: the bodies take what they are given.
FiberBlock& block() {
  thread_local FiberBlock fibers(64);
  return fibers;
}
FiberBlock& warp() {
  thread_local FiberBlock fibers(kWarp);
  return fibers;
}

template <class F>
int32_t with_type(Dtype dtype, F&& run) {
  dtype == Dtype::kF32 ? run(float{}) : run(Bf16{});
  return 0;
}

int32_t run_add_rms_norm(const AddRmsNorm& a, void*) {
  return with_type(a.dtype, [&](auto tag) {
    block().run({a.rows, 1, 1}, kNormShared,
                [&](FiberBlock& b) { add_rms_norm_body<decltype(tag)>(b, a); });
  });
}

int32_t run_rope_store(const RopeStore& a, void*) {
  return with_type(a.dtype, [&](auto tag) {
    block().run({a.rows, 1, 1}, 0, [&](FiberBlock& b) { rope_store_body<decltype(tag)>(b, a); });
  });
}

int32_t run_silu_mul(const SiluMul& a, void*) {
  return with_type(a.dtype, [&](auto tag) {
    const int64_t share = block().size() * Pack<decltype(tag)>::kSize;
    block().run({a.rows, (a.dim + share - 1) / share, 1}, 0,
                [&](FiberBlock& b) { silu_mul_body<decltype(tag)>(b, a); });
  });
}

int32_t run_gather_kv(const GatherKv& a, void*) {
  return with_type(a.dtype, [&](auto tag) {
    block().run({a.tokens, a.kv_heads, 1}, 0,
                [&](FiberBlock& b) { gather_kv_body<decltype(tag)>(b, a); });
  });
}

int32_t run_paged_attention(const PagedAttention& a, void*) {
  const bool tiles = fits_tiles(a);
  const std::array<int64_t, 3> grid = {a.rows, a.kv_heads, a.splits};
  const int64_t shared = attend_shared(a) * static_cast<int64_t>(sizeof(float));
  return with_type(a.dtype, [&](auto tag) {
    using T = decltype(tag);
    if (tiles && a.head_dim == 128) {
      warp().run(grid, 0, [&](FiberBlock& b) { attend_tile_body<128>(b, a); });
    } else if (tiles) {
      warp().run(grid, 0, [&](FiberBlock& b) { attend_tile_body<64>(b, a); });
    } else {
      block().run(grid, shared, [&](FiberBlock& b) { attend_body<T>(b, a); });
    }
    block().run({a.rows, a.heads, 1}, 0, [&](FiberBlock& b) { merge_splits_body<T>(b, a); });
  });
}

int32_t run_sample(const SampleRows& a, void*) {
  block().run({a.rows, 1, 1}, kSampleShared, [&](FiberBlock& b) { sample_body(b, a); });
  return 0;
}

struct Graph {
  GraphBody body;
  void* context;
};

int32_t copy(void* to, const void* from, size_t bytes) {
  std::memcpy(to, from, bytes);
  return 0;
}

int32_t pin(size_t bytes, void** data) {
  *data = std::malloc(bytes);
  return 0;
}

int32_t capture(GraphBody body, void* context, void** graph) {
  *graph = new Graph{body, context};
  return 0;
}

int32_t replay(void* graph) {
  const auto* recorded = static_cast<Graph*>(graph);
  recorded->body(recorded->context);
  return 0;
}

int32_t memory(int32_t, int64_t* free_bytes, int64_t* total_bytes) {
  *free_bytes = *total_bytes = int64_t{256} << 20;
  return 0;
}

}  // namespace

const cuda::Library& emulated_gpu() {
  static const Library library = {
      {run_add_rms_norm, run_rope_store, run_paged_attention, run_gather_kv, run_silu_mul,
       run_sample},
      {[](int32_t) { return 0; }, []() -> void* { return nullptr; }, [] { return 0; }, memory, pin,
       [](void* data) { std::free(data); }, copy, capture, replay,
       [](void* graph) { delete static_cast<Graph*>(graph); }},
      [](int32_t) { return "no error"; }};
  return library;
}

}  // namespace weft::test
