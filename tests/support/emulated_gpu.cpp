#include "tests/support/emulated_gpu.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <type_traits>

#include "model/ops/cuda/attention_tile_body.h"
#include "model/ops/cuda/lora_bodies.h"
#include "model/ops/cuda/packed_attention_bodies.h"
#include "model/ops/cuda/row_bodies.h"
#include "model/ops/cuda/sample_body.h"
#include "model/ops/cuda/training_bodies.h"
#include "tests/support/fake_device/fake_device.h"
#include "tests/support/fake_device/fake_gpu.h"
#include "tests/support/fiber_block.h"
#include "tests/support/kernel_operands.h"

namespace weft::test {
namespace {

using namespace cuda;

// Fewer threads than on the GPU: the bodies take what they are given.
FiberBlock& block() {
  thread_local FiberBlock fibers(64);
  return fibers;
}
FiberBlock& tile_block() {
  static_assert(kLoraWarps == kTileWarps);
  thread_local FiberBlock fibers(kTileWarps * kWarp);
  return fibers;
}

template <class F>
void with_type(Dtype dtype, F&& run) {
  dtype == Dtype::kF32 ? run(float{}) : run(Bf16{});
}

std::string& failure() {
  thread_local std::string text;
  return text;
}

// 0, or an error where f throws.
template <class F>
int32_t guarded(F&& f) {
  try {
    f();
    return 0;
  } catch (const std::exception& e) {
    failure() = e.what();
    return 1;
  }
}

void run_body(const AddRmsNorm& a) {
  with_type(a.dtype, [&](auto tag) {
    block().run({a.rows, 1, 1}, kNormShared,
                [&](FiberBlock& b) { add_rms_norm_body<decltype(tag)>(b, a); });
  });
}

void run_body(const RopeStore& a) {
  with_type(a.dtype, [&](auto tag) {
    block().run({a.rows, 1, 1}, 0, [&](FiberBlock& b) { rope_store_body<decltype(tag)>(b, a); });
  });
}

void run_body(const SiluMul& a) {
  with_type(a.dtype, [&](auto tag) {
    const int64_t share = block().size() * Pack<decltype(tag)>::kSize;
    block().run({a.rows, (a.dim + share - 1) / share, 1}, 0,
                [&](FiberBlock& b) { silu_mul_body<decltype(tag)>(b, a); });
  });
}

void run_body(const PagedAttention& a) {
  const bool tiles = fits_tiles(a);
  // Fewer blocks than items, so that each takes several.
  const std::array<int64_t, 3> grid = {std::min<int64_t>(3, a.max_items), 1, 1};
  const int64_t floats = tiles ? attend_tile_shared(a) : attend_shared(a);
  const int64_t shared = floats * static_cast<int64_t>(sizeof(float));
  with_type(a.dtype, [&](auto tag) {
    using T = decltype(tag);
    if (tiles && a.head_dim == 128) {
      tile_block().run(grid, shared, [&](FiberBlock& b) { attend_tile_body<128>(b, a); });
    } else if (tiles) {
      tile_block().run(grid, shared, [&](FiberBlock& b) { attend_tile_body<64>(b, a); });
    } else {
      block().run(grid, shared, [&](FiberBlock& b) { attend_body<T>(b, a); });
    }
    const std::array<int64_t, 3> few = {std::min<int64_t>(3, a.num_tiles), 1, 1};
    if (a.head_dim == 128) {
      tile_block().run(few, 0, [&](FiberBlock& b) { attend_rows_body<128>(b, a); });
    } else if (a.head_dim == 64) {
      tile_block().run(few, 0, [&](FiberBlock& b) { attend_rows_body<64>(b, a); });
    }
    block().run({a.rows, a.heads, 1}, kMergeShared,
                [&](FiberBlock& b) { merge_parts_body<T>(b, a); });
  });
}

void run_body(const SampleRows& a) {
  std::vector<kernels::SampleArgs> args(a.args, a.args + a.rows);
  for (kernels::SampleArgs& row : args) row.logits = fake::shadow(row.logits);
  const SampleRows on_host{args.data(), a.results, a.rows};
  block().run({a.rows, 1, 1}, kSampleShared, [&](FiberBlock& b) { sample_body(b, on_host); });
}

void run_body(const TakeIds& a) {
  block().run({1, 1, 1}, 0, [&](FiberBlock& b) { take_ids_body(b, a); });
}

// Fewer blocks than parts, so that each takes several.
void run_body(const BatchedLora& a) {
  std::vector<LoraWeights> weights;
  for (int32_t i = 0; i < *a.num_tiles; ++i) {
    const auto adapter = static_cast<size_t>(a.tiles[i].adapter);
    if (weights.size() <= adapter) weights.resize(adapter + 1);
    const LoraWeights& w = a.weights[a.tiles[i].adapter * a.stride];
    weights[adapter] = {fake::shadow(w.a), fake::shadow(w.b), w.rank};
  }
  BatchedLora on_host = a;
  on_host.weights = weights.data();
  on_host.stride = 1;
  with_type(a.dtype, [&](auto tag) {
    using T = decltype(tag);
    tile_block().run({5, 1, 1}, kLoraShrinkShared,
                     [&](FiberBlock& b) { lora_shrink_body<T>(b, on_host); });
    tile_block().run({3, 1, 1}, kLoraExpandShared,
                     [&](FiberBlock& b) { lora_expand_body<T>(b, on_host); });
  });
}

void run_body(const RmsNormBackward& a) {
  with_type(a.dtype, [&](auto tag) {
    using T = decltype(tag);
    block().run({a.rows, 1, 1}, kTrainingShared,
                [&](FiberBlock& b) { rms_norm_backward_body<T>(b, a); });
    if (!a.g_weight) return;
    block().run({(a.dim + block().size() - 1) / block().size(), kNormShares, 1}, 0,
                [&](FiberBlock& b) { norm_weight_gradient_body<T>(b, a); });
  });
}

void run_body(const SiluMulBackward& a) {
  with_type(a.dtype, [&](auto tag) {
    using T = decltype(tag);
    const int64_t share = block().size() * Pack<T>::kSize;
    block().run({a.rows, (a.dim + share - 1) / share, 1}, 0,
                [&](FiberBlock& b) { silu_mul_backward_body<T>(b, a); });
  });
}

void run_body(const RotateRows& a) {
  with_type(a.dtype, [&](auto tag) {
    block().run({a.rows, 1, 1}, 0, [&](FiberBlock& b) { rotate_rows_body<decltype(tag)>(b, a); });
  });
}

void run_body(const PackedAttention& a) {
  with_type(a.dtype, [&](auto tag) {
    block().run({a.rows, a.heads, 1}, packed_attention_shared(a),
                [&](FiberBlock& b) { packed_attention_body<decltype(tag)>(b, a); });
  });
}

void run_body(const PackedAttentionBackward& a) {
  const int64_t rows = a.forward.rows, shared = packed_attention_shared(a.forward);
  with_type(a.forward.dtype, [&](auto tag) {
    using T = decltype(tag);
    block().run({rows, a.forward.heads, 1}, shared,
                [&](FiberBlock& b) { packed_query_gradient_body<T>(b, a); });
    block().run({rows, a.forward.kv_heads, 1}, shared,
                [&](FiberBlock& b) { packed_key_gradient_body<T>(b, a); });
  });
}

void run_body(const LossRows& a) {
  block().run({a.rows, 1, 1}, kTrainingShared, [&](FiberBlock& b) { loss_rows_body(b, a); });
}

void run_body(const LogitGradient& a) {
  with_type(a.dtype, [&](auto tag) {
    block().run({a.rows, 1, 1}, kTrainingShared,
                [&](FiberBlock& b) { logit_gradient_body<decltype(tag)>(b, a); });
  });
}

template <class Args>
constexpr const char* kKernelName = nullptr;
template <>
constexpr const char* kKernelName<TakeIds> = "take_ids";
template <>
constexpr const char* kKernelName<BatchedLora> = "batched_lora";
template <>
constexpr const char* kKernelName<RmsNormBackward> = "rms_norm_backward";
template <>
constexpr const char* kKernelName<SiluMulBackward> = "silu_mul_backward";
template <>
constexpr const char* kKernelName<RotateRows> = "rotate_rows";
template <>
constexpr const char* kKernelName<PackedAttention> = "packed_attention";
template <>
constexpr const char* kKernelName<PackedAttentionBackward> = "packed_attention_backward";
template <>
constexpr const char* kKernelName<LossRows> = "loss_rows";
template <>
constexpr const char* kKernelName<LogitGradient> = "logit_gradient";
template <>
constexpr const char* kKernelName<AddRmsNorm> = "add_rms_norm";
template <>
constexpr const char* kKernelName<RopeStore> = "rope_store";
template <>
constexpr const char* kKernelName<PagedAttention> = "paged_attention";
template <>
constexpr const char* kKernelName<SiluMul> = "silu_mul";
template <>
constexpr const char* kKernelName<SampleRows> = "sample";

fake::FakeGpu& gpu() { return fake::FakeGpu::get(); }

// As a cudaStream_t: null is the default stream.
fake::StreamId id_of(void* stream) {
  return static_cast<fake::StreamId>(reinterpret_cast<intptr_t>(stream));
}

void add_indirect(const SampleRows& on_host, std::vector<fake::Access>& accesses) {
  for (int64_t r = 0; r < on_host.rows; ++r) {
    const kernels::SampleArgs& row = on_host.args[r];
    accesses.push_back({row.logits, static_cast<size_t>(row.size) * sizeof(float), false});
  }
}

void add_indirect(const BatchedLora& on_host, std::vector<fake::Access>& accesses) {
  const size_t size = on_host.dtype == Dtype::kF32 ? 4 : 2;
  for (int32_t i = 0; i < *on_host.num_tiles; ++i) {
    const LoraWeights& w = on_host.weights[on_host.tiles[i].adapter * on_host.stride];
    if (w.rank == 0) continue;
    accesses.push_back({w.a, static_cast<size_t>(w.rank * on_host.in) * size, false});
    accesses.push_back({w.b, static_cast<size_t>(w.rank * on_host.out) * size, false});
  }
}

template <class Args>
void add_indirect(const Args&, std::vector<fake::Access>&) {}

template <class Args>
constexpr bool kIsIndirect = std::is_same_v<Args, SampleRows> || std::is_same_v<Args, BatchedLora>;

template <class Args>
int32_t launch(const Args& args, void* stream) {
  return guarded([&] {
    Args on_host = args;
    auto accesses = take_operands(on_host);
    // What the arguments point to on the device is known once the works before are done.
    if (kIsIndirect<Args> && !gpu().is_capturing(id_of(stream))) {
      gpu().drain(id_of(stream));
      add_indirect(on_host, accesses);
    }
    gpu().launch(id_of(stream),
                 {kKernelName<Args>, std::move(accesses), [on_host] { run_body(on_host); }});
  });
}

int32_t use_device(int32_t) {
  return guarded([] {
    gpu().synchronize_all("use_device");
    gpu().exchange_stream(gpu().next_pool_stream());
  });
}

void* stream() { return reinterpret_cast<void*>(intptr_t{gpu().current_stream()}); }

int32_t synchronize() {
  return guarded([] { gpu().synchronize(gpu().current_stream(), "synchronize"); });
}

int32_t settle(int32_t) {
  return guarded([] { gpu().synchronize_all("settle"); });
}

int32_t pin(size_t bytes, void** data) {
  return guarded([&] { *data = gpu().pin(bytes); });
}

// A copy from or to memory that is neither the device's nor pinned holds the host up.
int32_t copy(void* to, const void* from, size_t bytes) {
  return guarded([&] {
    fake::Work copy{"copy", {}, nullptr};
    bool waits = false;
    const auto add = [&](const void* address, bool writes) {
      const bool known = fake::is_device_address(address) || gpu().is_pinned(address);
      if (known) copy.accesses.push_back({address, bytes, writes});
      waits = waits || !known;
    };
    add(from, false);
    add(to, true);
    copy.run = [target = const_cast<void*>(gpu().bytes_of(to)), source = gpu().bytes_of(from),
                bytes] { std::memcpy(target, source, bytes); };
    const fake::StreamId stream = gpu().current_stream();
    if (!waits) return gpu().launch(stream, std::move(copy));
    gpu().launch_here(stream, copy);
    gpu().synchronize(stream, copy.name);
  });
}

int32_t record(void** event) {
  return guarded([&] {
    const fake::Event now = gpu().record(gpu().current_stream());
    if (!*event) *event = new fake::Event;
    *static_cast<fake::Event*>(*event) = now;
  });
}

int32_t wait(void* event) {
  return guarded([&] { gpu().synchronize(*static_cast<fake::Event*>(event), "wait"); });
}

using Recorded = std::shared_ptr<const fake::Graph>;

int32_t capture(GraphBody body, void* context, void** graph) {
  return guarded([&] {
    gpu().begin_capture();
    try {
      body(context);
    } catch (...) {
      gpu().end_capture();
      throw;
    }
    *graph = new Recorded(gpu().end_capture());
  });
}

int32_t replay(void* graph) {
  return guarded([&] { gpu().replay(gpu().current_stream(), **static_cast<Recorded*>(graph)); });
}

int32_t memory(int32_t, int64_t* free_bytes, int64_t* total_bytes) {
  *free_bytes = *total_bytes = int64_t{256} << 20;
  return 0;
}

}  // namespace

const cuda::Library& emulated_gpu() {
  static const Library library = {
      {launch<AddRmsNorm>, launch<RopeStore>, launch<PagedAttention>, launch<SiluMul>,
       launch<SampleRows>, launch<TakeIds>, launch<BatchedLora>, launch<RmsNormBackward>,
       launch<SiluMulBackward>, launch<RotateRows>, launch<PackedAttention>,
       launch<PackedAttentionBackward>, launch<LossRows>, launch<LogitGradient>},
      {use_device, stream, synchronize, settle, memory, pin, [](void* data) { gpu().unpin(data); },
       copy, record, wait, [](void* event) { delete static_cast<fake::Event*>(event); }, capture,
       replay, [](void* graph) { delete static_cast<Recorded*>(graph); }},
      [](int32_t) { return failure().c_str(); },
      static_cast<int8_t>(fake::device().type())};
  return library;
}

}  // namespace weft::test
