#include "model/engine/pass_runner.h"

#include <ATen/Parallel.h>

#include "base/thread_pool.h"
#include "model/engine/cuda_runner.h"
#include "model/engine/logprobs.h"
#include "model/ops/cpu/kernels.h"
#include "model/ops/cpu/parallel.h"

namespace weft {
namespace {

class CpuRunner : public PassRunner {
 public:
  CpuRunner(const Transformer& model, KvCache& cache)
      : model_(model), cache_(cache), threads_(at::get_num_threads()) {}

  void set_stop_check(StopCheck stop) override { stop_ = std::move(stop); }

  std::string numerics() const override {
    const std::string set = kernels::kernel_table().name;
    if (model_.is_rounded()) return "int8 weights, products of " + set + "; answers only";
    return std::string(model_.dtype() == at::kFloat ? "f32" : "bf16") + ", products of " + set +
           " with one order of sums: logprobs of decoding, of given ids and of training agree to "
           "the bit";
  }

  at::Tensor forward(const std::vector<PassSpan>& spans) override {
    const kernels::UseThreads use(&threads_);
    return paged_forward(model_, cache_, spans, stop_);
  }

  void draw(const at::Tensor& logits, std::vector<kernels::SampleArgs> draws,
            const std::vector<int64_t>& rows) override {
    drawn_.resize(draws.size());
    const float* first = logits.const_data_ptr<float>();
    const kernels::UseThreads use(&threads_);
    kernels::parallel_items(static_cast<int64_t>(draws.size()), [&](int64_t i) {
      draws[i].logits = first + rows[i] * logits.size(1);
      draws[i].size = logits.size(1);
      drawn_[i] = kernels::kernel_table().sample(draws[i]);
    });
  }

  std::vector<kernels::SampleResult> drawn() override { return std::exchange(drawn_, {}); }

  std::vector<std::vector<float>> logprobs(
      const std::vector<LogprobRequest>& requests,
      const std::vector<std::shared_ptr<const Lora>>& adapters) override {
    return packed_logprobs(model_, requests, adapters, throw_if_stopped);
  }

 private:
  const Transformer& model_;
  KvCache& cache_;
  ThreadPool threads_;
  std::vector<kernels::SampleResult> drawn_;
  StopCheck stop_;
};

}  // namespace

std::unique_ptr<PassRunner> make_pass_runner(const ComputeDevice& device, const Transformer& model,
                                             KvCache& cache, const PassLimits& limits) {
  if (device.library == nullptr) return std::make_unique<CpuRunner>(model, cache);
  return std::make_unique<CudaRunner>(device, model, cache, limits);
}

}  // namespace weft
