/// Passes of the decoder on a GPU, decode passes replayed as CUDA graphs.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
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
/// recorded by the first pass that has one. In a pass with prompts the rows of each attend to each
/// other by LibTorch's flash attention and to what the cache had before them by tiles
/// (ops/cuda/cuda_library.h), where both take the shape, else through the decode kernel. Invariant,
/// all of it is computed with one order of sums (ops/one_order.h).
class CudaRunner : public PassRunner {
 public:
  /// Borrows everything. Throws InputError on a shape that the kernels do not take.
  CudaRunner(const ComputeDevice& device, const Transformer& model, KvCache& cache,
             const PassLimits& limits);
  ~CudaRunner() override;

  void start() override;
  std::string numerics() const override;
  at::Tensor forward(const std::vector<PassSpan>& spans) override;
  void draw(const at::Tensor& logits, std::vector<kernels::SampleArgs> draws,
            const std::vector<int64_t>& rows) override;
  std::vector<kernels::SampleResult> drawn() override;
  void forget_draws() override { asked_ = begun_; }
  bool takes_passes_ahead() const override { return true; }
  std::vector<std::vector<float>> logprobs(
      const std::vector<LogprobRequest>& requests,
      const std::vector<std::shared_ptr<const Lora>>& adapters) override;
  void rest() override;
  void weights_changed() override;

 private:
  // A pass on the device, at fixed places for a graph.
  struct Pass {
    at::Tensor ids;  // [rows] int32
    const int32_t* of_draw;
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

  // What the host writes and reads of a pass while the device may compute another.
  struct Turn {
    explicit Turn(const ops::DeviceContext& context)
        : inputs(context), draws(context), done(context) {}
    ops::PinnedBuffer inputs, draws;
    ops::DeviceEvent done;
    kernels::SampleArgs* args = nullptr;  // on the device, for most_draws
    kernels::SampleResult* results = nullptr;
    const kernels::SampleResult* host_results = nullptr;
    size_t num_draws = 0;
  };

  Turn& turn(int64_t pass) { return turns_[static_cast<size_t>(pass % 2)]; }
  at::Tensor decode(const PassRows& host, const std::vector<LoraRows>& adapters);
  void record(bool adapted);
  static void run_bucket(void* bucket);
  Pass place(const PassRows& host, const std::vector<LoraRows>& adapters, int64_t rows,
             bool own_rows, const at::Tensor& on_device);
  at::Tensor forward_rows(const Pass& pass, bool adapted, const at::Tensor& wanted) const;

  const ops::DeviceContext context_;
  const Transformer& model_;
  KvCache& cache_;
  const int64_t max_batch_, max_context_;
  const bool graphs_, invariant_;
  at::Tensor decode_inputs_;  // int32, of every bucket
  at::Tensor decode_logits_;  // [greatest bucket, V] f32
  at::Tensor draws_;          // uint8: arguments and results of the sampler, of each turn
  std::array<Turn, 2> turns_;
  int64_t begun_ = 0, asked_ = 0;  // passes that drew; those of which the draws were asked for
  AdapterTable adapters_;
  int64_t recorded_generation_ = 0;  // of adapters_, by the buckets with adapters
  std::map<std::pair<int64_t, bool>, std::unique_ptr<Bucket>> buckets_;  // by rows and `adapted`
};

}  // namespace weft
