#include "trainer/learn/run/rough_time.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <chrono>

#include "model/ops/ops.h"

namespace weft {
namespace {

constexpr double kShareOfProducts = 0.6;
constexpr double kMeasuredSeconds = 0.25;
constexpr int64_t kMostRows = 256, kMostColumns = 8192;

// Weights that a token is multiplied with.
double multiplied_weights(const TransformerConfig& shape) {
  const int64_t table = shape.tie_word_embeddings ? 0 : shape.vocab_size * shape.hidden_size;
  return static_cast<double>(shape.num_parameters() - table);
}

double flops_per_second(const TransformerConfig& shape, const LearnOptions& learn,
                        at::ScalarType dtype) {
  using Clock = std::chrono::steady_clock;
  const at::NoGradGuard no_grad;
  const int64_t rows = std::min(learn.tokens_per_microbatch, kMostRows);
  const int64_t columns = std::min(shape.intermediate_size, kMostColumns);
  const at::Tensor x = at::zeros({rows, shape.hidden_size}, dtype);
  const at::Tensor w = at::zeros({columns, shape.hidden_size}, dtype);
  ops::linear(x, w);  // threads and buffers are there after it
  const double flops = 2.0 * static_cast<double>(rows) * static_cast<double>(w.numel());
  const auto start = Clock::now();
  for (int64_t products = 1;; ++products) {
    ops::linear(x, w);
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    if (seconds >= kMeasuredSeconds) return flops * static_cast<double>(products) / seconds;
  }
}

}  // namespace

double step_flops(const TransformerConfig& shape, const LearnOptions& learn) {
  const double weights = multiplied_weights(shape);
  const double head = static_cast<double>(shape.vocab_size * shape.hidden_size);
  int64_t again = 0;
  for (int64_t l = 0; l < shape.num_layers; ++l) {
    again += learn.layerwise().keeps(l, shape.num_layers) ? 0 : 1;
  }
  const double share = static_cast<double>(again) / static_cast<double>(shape.num_layers);
  const double backward = learn.full_weights ? 2 : 1;
  return 2 * (weights * (1 + backward) + (weights - head) * share);
}

Json rough_time(const TransformerConfig& shape, const LearnOptions& learn, at::ScalarType dtype,
                int64_t tokens) {
  const double rate =
      kShareOfProducts * flops_per_second(shape, learn, dtype) / step_flops(shape, learn);
  return {{"tokens", tokens},
          {"tokens_per_s", rate},
          {"hours", static_cast<double>(tokens) / rate / 3600}};
}

Json rough_rollout_time(const TransformerConfig& shape, const LearnOptions& learn,
                        at::ScalarType dtype, double completion_tokens, int64_t epochs,
                        bool with_reference) {
  const double forward = 2 * multiplied_weights(shape);
  const auto passes = static_cast<double>(epochs);
  const double flops = forward * (with_reference ? 2 : 1) + passes * step_flops(shape, learn);
  const double rate = kShareOfProducts * flops_per_second(shape, learn, dtype) / flops;
  return {{"completion_tokens", completion_tokens}, {"hours", completion_tokens / rate / 3600}};
}

}  // namespace weft
