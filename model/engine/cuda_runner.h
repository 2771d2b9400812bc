/// Passes of the decoder on a GPU, decode passes replayed as CUDA graphs.
#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "model/engine/adapter_table.h"
#include "model/engine/pass_rows.h"
#include "model/engine/pass_runner.h"
#include "model/ops/cuda/device_context.h"
#include "model/ops/paged_inputs.h"

namespace weft {

/// A decode pass runs in a graph recorded for the next larger of a few batch sizes; the rows beyond
/// its own have no slot and no context. Those with adapters have graphs of their own, which are
/// recorded by the first pass that has one. Prompts go through LibTorch's flash
/// attention over keys and values gathered from the cache, where it takes their dtype, else through
/// the decode kernel. Invariant, all of it is computed with one order of sums (ops/one_order.h).
class CudaRunner : public PassRunner {
 public:
  /// Borrows everything. Throws InputError on a shape that the kernels do not take.
  CudaRunner(const ComputeDevice& device, const Transformer& model, KvCache& cache,
             const PassLimits& limits);
  ~CudaRunner() override;

  void start() override;
  std::string numerics() const override;
  at::Tensor forward(const std::vector<PassSpan>& spans) override;
  std::vector<kernels::SampleResult> sample(const at::Tensor& logits,
                                            std::vector<kernels::SampleArgs> draws,
                                            const std::vector<int64_t>& rows) override;
  std::vector<std::vector<float>> logprobs(
      const std::vector<LogprobRequest>& requests,
      const std::vector<std::shared_ptr<const Lora>>& adapters) override;
  void rest() override;
  void weights_changed() override;

 private:
  // A pass on the device, at fixed places for a graph.
  struct Pass {
    at::Tensor ids;  // [rows] int32
    const int32_t* num_tiles;
    const cuda::LoraTile* tiles;  // [rows]
    ops::PagedInputs inputs;
  };
  // Decode passes of one size, and their graph. Does not move: the graph calls it.
  struct Bucket {
    CudaRunner* runner;
    bool adapted;
    Pass pass;
    at::Tensor logits;  // [rows, V] of decode_logits_
    void* graph = nullptr;
  };

  at::Tensor decode(const PassRows& host, const std::vector<LoraRows>& adapters);
  void record(bool adapted);
  static void run_bucket(void* bucket);
  Pass place(const PassRows& host, const std::vector<LoraRows>& adapters, int64_t rows,
             bool with_context, const at::Tensor& on_device);
  at::Tensor forward_rows(const Pass& pass, bool adapted, const at::Tensor& wanted) const;

  const ops::DeviceContext context_;
  const Transformer& model_;
  KvCache& cache_;
  const int64_t max_batch_, max_context_;
  const bool graphs_, invariant_;
  at::Tensor decode_inputs_;  // int32, of every bucket
  at::Tensor decode_logits_;  // [greatest bucket, V] f32
  at::Tensor draws_;          // uint8: arguments and results of the sampler
  ops::PinnedBuffer staging_, draw_staging_;
  AdapterTable adapters_;
  int64_t recorded_generation_ = 0;  // of adapters_, by the buckets with adapters
  std::map<std::pair<int64_t, bool>, std::unique_ptr<Bucket>> buckets_;  // by rows and `adapted`
};

}  // namespace weft
