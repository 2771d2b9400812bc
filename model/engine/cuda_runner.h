/// Steps of the decoder on a GPU: matrix products by LibTorch, everything between them by
/// libweft_cuda.so, decode steps replayed as CUDA graphs.
#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <memory>
#include <vector>

#include "model/device/cuda/cuda_library.h"
#include "model/engine/cuda_inputs.h"
#include "model/engine/score.h"
#include "model/engine/step_runner.h"

namespace weft {

/// The twin of paged_forward, of the CPU's sampler and of score_packed.
///
/// A decode step without adapters runs in a graph recorded for the next larger of a few batch
/// sizes; the rows beyond its own have no slot and no context. The first step of a size runs
/// without a graph, and records it. Prompts go through LibTorch's flash attention over keys and
/// values gathered from the cache, where it takes their dtype, else through the decode kernel.
class CudaRunner : public StepRunner {
 public:
  /// Borrows everything. Throws InputError on a shape that the kernels do not take.
  CudaRunner(const ComputeDevice& device, const Transformer& model, KvCache& cache,
             const StepLimits& limits);
  ~CudaRunner() override;

  std::string numerics() const override;
  at::Tensor forward(const std::vector<StepSpan>& spans) override;
  std::vector<kernels::SampleResult> sample(const at::Tensor& logits,
                                            std::vector<kernels::SampleArgs> draws) override;
  std::vector<std::vector<float>> score(
      const std::vector<ScoreRequest>& requests,
      const std::vector<std::shared_ptr<const Lora>>& adapters) override;

 private:
  // What the layers read, at fixed places for a graph.
  struct Step {
    CudaInputs inputs;
    KvCache* cache;
    std::vector<AdapterRows> adapters;
    bool flash = false;
  };
  // A decode step of one size, and its graph once it was recorded. Does not move: the graph calls
  // it.
  struct Bucket {
    CudaRunner* runner;
    Step step;
    at::Tensor logits;  // [rows, V] of decode_logits_
    void* graph = nullptr;
  };
  // Copies of an adapter's updates on the device.
  struct DeviceUpdates {
    LoraUpdates source, copies;
  };

  void check(int32_t status) const;
  void enter_thread();
  at::Tensor to_device(const at::Tensor& t) const;
  at::Tensor decode(const std::vector<StepSpan>& spans);
  Bucket& bucket_for(int64_t rows);
  at::Tensor run_layers(const Step& step);
  at::Tensor attend(const Step& step, int64_t layer, const at::Tensor& qkv);
  at::Tensor attend_paged(const Step& step, int64_t layer, const at::Tensor& qkv);
  at::Tensor attend_flash(const Step& step, int64_t layer, const at::Tensor& qkv);
  at::Tensor linear(const Step& step, int64_t layer, const at::Tensor& x, const at::Tensor& w,
                    const at::Tensor& bias, LoraUpdate LoraUpdates::*which);
  at::Tensor add_rms_norm(const at::Tensor& x, const at::Tensor& delta, const at::Tensor& w);
  at::Tensor silu_mul(const at::Tensor& gate_up);
  const LoraUpdates& updates_of(const Lora& lora, int64_t layer);
  void logits_of(const at::Tensor& normed, const at::Tensor& out) const;
  at::Tensor score_pack(const ScorePack& pack);
  int64_t splits_for(int64_t rows) const;
  bool takes_flash() const;
  CudaInputs place(const HostInputs& host, const at::Tensor& on_device);

  const ComputeDevice device_;
  const cuda::Library& library_;
  const Transformer& model_;
  KvCache& cache_;
  const kernels::HeadShape shape_;
  const cuda::Dtype dtype_;
  const int64_t max_batch_, max_context_;
  const bool graphs_;
  bool entered_ = false;  // the thread's device and stream are set
  at::Tensor rope_table_;
  at::Tensor decode_inputs_;  // int32, of every bucket
  at::Tensor decode_logits_;  // [greatest bucket, V] f32
  at::Tensor draws_;          // uint8: arguments and results of the sampler
  PinnedBuffer staging_, draw_staging_;
  std::map<int64_t, std::unique_ptr<Bucket>> buckets_;
  std::map<const Lora*, std::vector<DeviceUpdates>> adapters_;
};

}  // namespace weft
