#include "model/engine/step_runner.h"

#include <ATen/Parallel.h>

#include "model/engine/cuda_runner.h"
#include "model/engine/score.h"

namespace weft {
namespace {

class CpuRunner : public StepRunner {
 public:
  CpuRunner(const Transformer& model, KvCache& cache) : model_(model), cache_(cache) {}

  at::Tensor forward(const std::vector<StepSpan>& spans) override {
    return paged_forward(model_, cache_, spans);
  }

  std::vector<kernels::SampleResult> sample(const at::Tensor& logits,
                                            std::vector<kernels::SampleArgs> draws) override {
    std::vector<kernels::SampleResult> results(draws.size());
    const float* first = logits.const_data_ptr<float>();
    at::parallel_for(0, static_cast<int64_t>(draws.size()), 1, [&](int64_t b, int64_t e) {
      for (int64_t i = b; i < e; ++i) {
        draws[i].logits = first + i * logits.size(1);
        draws[i].size = logits.size(1);
        results[i] = kernels::kernel_table().sample(draws[i]);
      }
    });
    return results;
  }

  std::vector<std::vector<float>> score(
      const std::vector<ScoreRequest>& requests,
      const std::vector<std::shared_ptr<const Lora>>& adapters) override {
    return score_packed(model_, requests, adapters);
  }

 private:
  const Transformer& model_;
  KvCache& cache_;
};

}  // namespace

std::unique_ptr<StepRunner> make_step_runner(const ComputeDevice& device, const Transformer& model,
                                             KvCache& cache, const StepLimits& limits) {
  if (device.library == nullptr) return std::make_unique<CpuRunner>(model, cache);
  return std::make_unique<CudaRunner>(device, model, cache, limits);
}

}  // namespace weft
