#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <chrono>
#include <numeric>

#include "base/error.h"
#include "base/rng.h"
#include "bench/gpu/gpu_check.h"
#include "model/engine/block_pool.h"
#include "model/engine/pass_runner.h"
#include "model/ops/cuda/cuda_library.h"
#include "model/ops/tensor_device.h"

namespace weft {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int64_t kWarmUpPasses = 3;  // the first runs without a graph and records it
constexpr int kRepeats = 8;
constexpr double kPublishedBandwidth = 4.3e12;  // bytes a second that a copy reaches on an H200

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

kernels::HeadShape shape_of(const TransformerConfig& c) {
  return {c.num_heads, c.num_kv_heads, c.head_dim};
}

void settle(const ComputeDevice& gpu) {
  if (gpu.library == nullptr) return;
  const int32_t status = gpu.library->services.synchronize();
  if (status != 0) throw Error(std::string("CUDA: ") + gpu.library->error_text(status));
}

/// Sequences with their blocks.
struct Sequences {
  KvCache cache;
  std::vector<std::vector<int32_t>> blocks;

  Sequences(const ComputeDevice& gpu, const Transformer& model, const std::vector<int64_t>& tokens)
      : cache(model.num_layers(), shape_of(model.config()), model.dtype(), total_blocks(tokens),
              tensor_device(gpu)),
        blocks(tokens.size()) {
    int32_t next = 0;
    for (size_t s = 0; s < tokens.size(); ++s) {
      while (std::ssize(blocks[s]) < blocks_for(tokens[s])) blocks[s].push_back(next++);
    }
  }
  static int64_t total_blocks(const std::vector<int64_t>& tokens) {
    int64_t total = 0;
    for (const int64_t n : tokens) total += blocks_for(n);
    return total;
  }
};

int32_t id_of(const Transformer& model, uint64_t seed, int64_t i) {
  const double u = philox_uniform(seed, 0, static_cast<uint64_t>(i));
  return static_cast<int32_t>(u * static_cast<double>(model.config().vocab_size));
}

/// Logits after each of two parts of a prompt and after 6 single tokens, one below the other.
at::Tensor some_logits(const ComputeDevice& gpu, const Transformer& model) {
  constexpr int64_t ends[] = {25, 40, 41, 42, 43, 44, 45, 46}, passes = std::size(ends);
  Sequences sequence(gpu, model, {ends[passes - 1]});
  const auto runner = make_pass_runner(gpu, model, sequence.cache, {1, ends[passes - 1], true});
  runner->start();
  at::Tensor all = at::empty({passes, model.config().vocab_size}, at::kFloat);
  for (int64_t pass = 0; pass < passes; ++pass) {
    PassSpan span{{}, pass == 0 ? 0 : ends[pass - 1], &sequence.blocks[0]};
    for (int64_t t = span.start; t < ends[pass]; ++t) span.ids.push_back(id_of(model, 1, t));
    all.select(0, pass).copy_(runner->forward({span}).select(0, 0));
  }
  return all;
}

int64_t bytes_of(const at::Tensor& t) { return static_cast<int64_t>(t.nbytes()); }

// What a decode pass reads of the weights: all but an embedding that is no head.
int64_t weight_bytes(const Transformer& model) {
  int64_t bytes = bytes_of(model.lm_head_weight()) + bytes_of(model.final_norm_weight());
  for (int64_t l = 0; l < model.num_layers(); ++l) bytes += bytes_of(model.layer(l).flat);
  return bytes;
}

}  // namespace

std::vector<int64_t> DecodeCase::contexts(int64_t context) const {
  std::vector<int64_t> all(batch, context);
  for (int64_t i = 0; mixed && i < batch; ++i) all[i] = context * (2 * i + 1) / batch;
  if (long_context > 0) all[0] = long_context;
  return all;
}

std::string DecodeCase::name() const {
  std::string text = model + " decode, batch " + std::to_string(batch);
  if (!cuda_graphs) text += ", no graphs";
  if (top_p < 1) text += ", top-p " + std::to_string(top_p).substr(0, 4);
  if (mixed) text += ", mixed lengths";
  if (long_context > 0) text += ", one of " + std::to_string(long_context) + " tokens";
  if (invariant) text += ", invariant";
  return text;
}

TransformerConfig qwen2_shape(int64_t layers, int64_t hidden, int64_t intermediate, int64_t heads,
                              int64_t kv_heads, int64_t vocab) {
  TransformerConfig c;
  c.architecture = Architecture::kQwen2;
  c.num_layers = layers;
  c.hidden_size = hidden;
  c.intermediate_size = intermediate;
  c.num_heads = heads;
  c.num_kv_heads = kv_heads;
  c.head_dim = hidden / heads;
  c.vocab_size = vocab;
  c.max_positions = 32768;
  c.rope_theta = 1e6;
  c.qkv_bias = true;
  return c;
}

Json check_parity(const ComputeDevice& gpu, const std::string& name,
                  const TransformerConfig& config, at::ScalarType dtype, double bound) {
  const at::NoGradGuard no_grad;
  const auto expected = some_logits({}, *Transformer::random(config, at::kFloat, 1));
  const auto model = Transformer::random(config, dtype, 1);
  model->to(tensor_device(gpu));
  const double worst = (some_logits(gpu, *model).sub(expected)).abs().max().item<double>();
  return {{"name", name},
          {"dtype", dtype == at::kFloat ? "f32" : "bf16"},
          {"largest_logit", expected.abs().max().item<double>()},
          {"worst", worst},
          {"bound", bound},
          {"ok", worst <= bound}};
}

Json check_directory(const ComputeDevice& device, const std::string& dir) {
  TextRequest request;
  request.prompt = std::vector<int32_t>{5, 6, 7, 8};
  request.sampling.temperature = 0;
  request.sampling.max_tokens = 24;
  request.sampling.ignore_eos = true;
  const auto ids_on = [&](const ComputeDevice& on) {
    EngineOptions options;
    options.kv_mb = 16;
    const auto response = Engine::from_directory(dir, "f32", options, on)->complete(request);
    if (response.status != ResponseStatus::kOk) throw Error(dir + ": " + response.error);
    return response.choices[0].ids;
  };
  const auto mine = ids_on(device), theirs = ids_on({});
  return {{"name", dir}, {"dtype", "f32"}, {"ids", mine}, {"ok", mine == theirs}};
}

double copy_bandwidth(const ComputeDevice& gpu, int64_t bytes) {
  const auto options = at::TensorOptions(at::kByte).device(tensor_device(gpu));
  const at::Tensor from = at::zeros({bytes}, options), to = at::zeros({bytes}, options);
  to.copy_(from);
  settle(gpu);
  const auto start = Clock::now();
  for (int i = 0; i < kRepeats; ++i) to.copy_(from);
  settle(gpu);
  return 2.0 * static_cast<double>(bytes) * kRepeats / seconds_since(start);
}

Json measure_decode(const ComputeDevice& gpu, const Transformer& model, const DecodeCase& which,
                    int64_t context, int64_t passes, double bandwidth) {
  const at::NoGradGuard no_grad;
  std::vector<int64_t> tokens = which.contexts(context);
  const double sum = std::accumulate(tokens.begin(), tokens.end(), 0.0);
  for (int64_t& n : tokens) n += kWarmUpPasses + passes;
  Sequences sequences(gpu, model, tokens);
  const auto runner =
      make_pass_runner(gpu, model, sequences.cache,
                       {which.batch, *std::max_element(tokens.begin(), tokens.end()),
                        which.cuda_graphs, which.invariant});
  runner->start();
  std::vector<PassSpan> spans;
  for (int64_t s = 0; s < which.batch; ++s) {
    spans.push_back(
        {{id_of(model, 2, s)}, tokens[s] - kWarmUpPasses - passes, &sequences.blocks[s]});
  }
  const auto pass = [&] {
    std::vector<kernels::SampleArgs> draws;
    std::vector<int64_t> rows;
    for (int64_t s = 0; s < which.batch; ++s) {
      const double u = philox_uniform(3, s, static_cast<uint64_t>(spans[s].start));
      draws.push_back({nullptr, 0, u, 1, which.top_p, 0, 0});
      rows.push_back(s);
    }
    const auto drawn = runner->sample(runner->forward(spans), std::move(draws), rows);
    for (int64_t s = 0; s < which.batch; ++s) {
      if (drawn[s].id < 0) throw Error("the model's logits are not finite");
      spans[s].ids[0] = static_cast<int32_t>(drawn[s].id);
      ++spans[s].start;
    }
  };
  for (int64_t i = 0; i < kWarmUpPasses; ++i) pass();
  const auto start = Clock::now();
  for (int64_t i = 0; i < passes; ++i) pass();
  const double seconds = seconds_since(start) / static_cast<double>(passes);
  const double mean_context = sum / static_cast<double>(which.batch) + kWarmUpPasses +
                              0.5 * static_cast<double>(passes + 1);
  const double kv_bytes = static_cast<double>(KvCache::block_bytes(
                              model.num_layers(), shape_of(model.config()), model.dtype())) /
                          kernels::kBlockTokens;
  const double read = static_cast<double>(which.batch) * mean_context * kv_bytes;
  const double bytes = static_cast<double>(weight_bytes(model)) + read;
  const double rate = static_cast<double>(which.batch) / seconds;
  return {{"model", which.model},
          {"batch", which.batch},
          {"mean_context", mean_context},
          {"cuda_graphs", which.cuda_graphs},
          {"top_p", which.top_p},
          {"mixed", which.mixed},
          {"long_context", which.long_context},
          {"invariant", which.invariant},
          {"ms_per_pass", seconds * 1e3},
          {"tokens_per_s", rate},
          {"target", which.target},
          {"reached", rate >= which.target},
          {"gb_per_pass", bytes / 1e9},
          {"kv_gb_per_pass", read / 1e9},
          {"share_of_measured_roofline", bytes / bandwidth / seconds},
          {"share_of_published_roofline", bytes / kPublishedBandwidth / seconds}};
}

Json price(const std::string& what, const Json& with, const Json& plain) {
  return {{"model", with["model"]},
          {"batch", with["batch"]},
          {"what", what},
          {"ratio", with["ms_per_pass"].get<double>() / plain["ms_per_pass"].get<double>()}};
}

Json price_of_long(const Json& with, const Json& plain, double bandwidth) {
  const double extra = with["ms_per_pass"].get<double>() - plain["ms_per_pass"].get<double>();
  const double bytes =
      1e9 * (with["kv_gb_per_pass"].get<double>() - plain["kv_gb_per_pass"].get<double>());
  const double copy = 1e3 * bytes / bandwidth;
  return {{"model", with["model"]}, {"what", "one long sequence"}, {"extra_ms", extra},
          {"copy_ms", copy},        {"ratio", extra / copy},       {"ok", extra <= 1.3 * copy}};
}

Json measure_prefill(const ComputeDevice& gpu, const Transformer& model, const std::string& name,
                     int64_t tokens, int64_t before) {
  const at::NoGradGuard no_grad;
  Sequences sequence(gpu, model, {before + tokens});
  const auto runner = make_pass_runner(gpu, model, sequence.cache, {1, before + tokens, true});
  runner->start();
  PassSpan span{{}, before, &sequence.blocks[0]};
  for (int64_t t = 0; t < tokens; ++t) span.ids.push_back(id_of(model, 4, t));
  runner->forward({span});
  settle(gpu);
  const auto start = Clock::now();
  for (int i = 0; i < kRepeats; ++i) runner->forward({span});
  settle(gpu);
  const double seconds = seconds_since(start) / kRepeats;
  return {{"model", name},
          {"tokens", tokens},
          {"before", before},
          {"ms", seconds * 1e3},
          {"tokens_per_s", static_cast<double>(tokens) / seconds},
          {"weight_tflop_per_s", 2e-12 * static_cast<double>(model.config().num_parameters()) *
                                     static_cast<double>(tokens) / seconds}};
}

}  // namespace weft
