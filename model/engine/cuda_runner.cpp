#include "model/engine/cuda_runner.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/_flash_attention_forward.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cstring>

#include "base/error.h"

namespace weft {
namespace {

constexpr int64_t kWantedBlocks = 1536;  // of the attention's grid: what an H200 holds at once
constexpr int64_t kMostSplits = 64;
constexpr int64_t kFlashDims = 256;  // most that LibTorch's flash attention takes
constexpr int64_t kScoreRows = 256;  // whose logits are held at once

// Batch sizes that graphs are recorded for: more of them where a row more costs most.
int64_t bucket_size(int64_t rows) {
  if (rows <= 2) return rows;
  const int64_t step = rows <= 4 ? 4 : rows <= 64 ? 8 : 32;
  return (rows + step - 1) / step * step;
}

void check_shape(const TransformerConfig& c) {
  constexpr int64_t unit = 8;  // bf16 in 16 bytes
  const auto refuse = [](const char* name, int64_t got) {
    throw InputError(std::string(name) + ": expected a multiple of 8 for a GPU, got " +
                     std::to_string(got));
  };
  if (c.hidden_size % unit != 0) refuse("hidden_size", c.hidden_size);
  if (c.intermediate_size % unit != 0) refuse("intermediate_size", c.intermediate_size);
  if (c.head_dim % unit != 0) refuse("head_dim", c.head_dim);
}

void* pointer_or_null(const at::Tensor& t) { return t.defined() ? t.data_ptr() : nullptr; }

}  // namespace

CudaRunner::CudaRunner(const ComputeDevice& device, const Transformer& model, KvCache& cache,
                       const StepLimits& limits)
    : device_(device),
      library_(*device.library),
      model_(model),
      cache_(cache),
      shape_{model.config().num_heads, model.config().num_kv_heads, model.config().head_dim},
      dtype_(model.dtype() == at::kFloat ? cuda::Dtype::kF32 : cuda::Dtype::kBf16),
      max_batch_(limits.max_batch),
      max_context_(limits.max_context),
      graphs_(limits.cuda_graphs),
      rope_table_(to_device(model.rope_table())),
      staging_(library_),
      draw_staging_(library_) {
  check_shape(model.config());
  const int64_t rows = bucket_size(max_batch_);
  const int64_t row_inputs = 5 + KvCache::blocks_for(max_context_);
  const auto options = model.final_norm_weight().options();
  decode_inputs_ = at::empty({rows * row_inputs}, options.dtype(at::kInt));
  decode_logits_ = at::empty({rows, model.config().vocab_size}, options.dtype(at::kFloat));
  const int64_t draw_bytes = sizeof(kernels::SampleArgs) + sizeof(kernels::SampleResult);
  draws_ = at::empty({rows * draw_bytes}, options.dtype(at::kByte));
}

CudaRunner::~CudaRunner() {
  library_.services.settle(device_.index);  // what goes now may still be in use
  for (const auto& [rows, bucket] : buckets_) {
    if (bucket->graph) library_.services.destroy(bucket->graph);
  }
}

void CudaRunner::check(int32_t status) const {
  if (status != 0) throw Error(std::string("CUDA: ") + library_.error_text(status));
}

at::Tensor CudaRunner::to_device(const at::Tensor& t) const {
  return t.to(model_.final_norm_weight().device());
}

bool CudaRunner::takes_flash() const {
  return dtype_ == cuda::Dtype::kBf16 && shape_.dim <= kFlashDims;
}

void CudaRunner::enter_thread() {
  if (!entered_) check(library_.services.use_device(device_.index));
  entered_ = true;
}

int64_t CudaRunner::splits_for(int64_t rows) const {
  const int64_t wanted = (kWantedBlocks + rows * shape_.kv_heads - 1) / (rows * shape_.kv_heads);
  return std::clamp<int64_t>(wanted, 1, std::min(kMostSplits, KvCache::blocks_for(max_context_)));
}

CudaInputs CudaRunner::place(const HostInputs& host, const at::Tensor& on_device) {
  const std::vector<int32_t> packed = host.packed();
  const size_t bytes = packed.size() * sizeof(int32_t);
  std::memcpy(staging_.reserve(bytes), packed.data(), bytes);
  const at::Tensor all =
      on_device.defined() ? on_device
                          : at::empty({std::ssize(packed)}, rope_table_.options().dtype(at::kInt));
  WEFT_ASSERT(std::ssize(packed) <= all.numel());
  staging_.copy_to(all.data_ptr(), bytes);
  return CudaInputs(host, all);
}

std::string CudaRunner::numerics() const {
  const bool wide = model_.dtype() == at::kFloat;
  return std::string(wide ? "f32" : "bf16") +
         ", products of LibTorch on a GPU, whose sums depend on the batch: logprobs of decoding "
         "and "
         "scoring agree to rounding, a relative " +
         (wide ? "2^-24" : "2^-9") + " at each operation";
}

at::Tensor CudaRunner::forward(const std::vector<StepSpan>& spans) {
  const at::NoGradGuard no_grad;
  enter_thread();
  const bool decodes = std::ssize(spans) <= max_batch_ &&
                       std::all_of(spans.begin(), spans.end(), [](const StepSpan& s) {
                         return s.ids.size() == 1 && s.lora == nullptr && s.wants_logits;
                       });
  if (decodes) return decode(spans);
  int64_t rows = 0;
  for (const StepSpan& s : spans) rows += std::ssize(s.ids);
  const bool flash = takes_flash() && rows > std::ssize(spans);
  const HostInputs host(spans, rows, flash);
  const Step step{place(host, {}), &cache_, host.adapters, flash};
  const at::Tensor normed = run_layers(step);
  const at::Tensor wanted = at::index_select(normed, 0, to_device(index_tensor(host.wanted)));
  const at::Tensor logits =
      at::empty({wanted.size(0), model_.config().vocab_size}, rope_table_.options());
  if (wanted.size(0) > 0) logits_of(wanted, logits);
  return logits;
}

CudaRunner::Bucket& CudaRunner::bucket_for(int64_t rows) {
  auto& bucket = buckets_[bucket_size(rows)];
  if (!bucket) {
    bucket = std::make_unique<Bucket>();
    bucket->runner = this;
    bucket->logits = decode_logits_.narrow(0, 0, bucket_size(rows));
  }
  return *bucket;
}

at::Tensor CudaRunner::decode(const std::vector<StepSpan>& spans) {
  const int64_t rows = bucket_size(std::ssize(spans));
  Bucket& bucket = bucket_for(rows);
  HostInputs host(spans, rows, /*with_context=*/false);
  // The number of spans varies within a bucket, and these would move what lies behind them.
  host.row_ends.clear();
  host.context_ends.clear();
  const CudaInputs inputs = place(host, decode_inputs_);
  const auto body = [](void* context) {
    auto* self = static_cast<Bucket*>(context);
    self->runner->logits_of(self->runner->run_layers(self->step), self->logits);
  };
  if (bucket.graph) {
    check(library_.services.replay(bucket.graph));  // reads the places that it was recorded with
  } else {
    bucket.step = {inputs, &cache_, {}, false};
    body(&bucket);
    if (graphs_) check(library_.services.capture(body, &bucket, &bucket.graph));
  }
  return bucket.logits.narrow(0, 0, std::ssize(spans));
}

// The final hidden states of all rows.
at::Tensor CudaRunner::run_layers(const Step& step) {
  const TransformerConfig& config = model_.config();
  const at::Tensor hidden = model_.embed(step.inputs.ids);
  at::Tensor delta;
  for (int64_t l = 0; l < model_.num_layers(); ++l) {
    const TransformerLayer& w = model_.layer(l);
    const at::Tensor x = add_rms_norm(hidden, delta, w.input_norm);
    const at::Tensor qkv = linear(step, l, x, w.qkv, w.qkv_bias, &LoraUpdates::qkv);
    check(library_.kernels.rope_store(
        {qkv.data_ptr(), pointer_or_null(w.q_norm), pointer_or_null(w.k_norm),
         rope_table_.const_data_ptr<float>(), step.inputs.positions, step.inputs.slots,
         step.cache->layer(l).data_ptr(), step.inputs.rows, shape_.heads, shape_.kv_heads,
         shape_.dim, static_cast<float>(config.rms_norm_eps), dtype_},
        library_.services.stream()));
    const at::Tensor o = linear(step, l, attend(step, l, qkv), w.o, w.o_bias, &LoraUpdates::o);
    const at::Tensor y = add_rms_norm(hidden, o, w.post_norm);
    const at::Tensor gate_up = linear(step, l, y, w.gate_up, w.gate_up_bias, &LoraUpdates::gate_up);
    delta = linear(step, l, silu_mul(gate_up), w.down, w.down_bias, &LoraUpdates::down);
  }
  return add_rms_norm(hidden, delta, model_.final_norm_weight());
}

at::Tensor CudaRunner::attend(const Step& step, int64_t layer, const at::Tensor& qkv) {
  return step.flash ? attend_flash(step, layer, qkv) : attend_paged(step, layer, qkv);
}

at::Tensor CudaRunner::attend_paged(const Step& step, int64_t layer, const at::Tensor& qkv) {
  const CudaInputs& in = step.inputs;
  const int64_t splits = splits_for(in.rows);
  const at::Tensor out = at::empty({in.rows, shape_.heads * shape_.dim}, qkv.options());
  const at::Tensor partial =
      at::empty({in.rows, shape_.heads, splits, shape_.dim + 2}, rope_table_.options());
  check(library_.kernels.paged_attention(
      {qkv.const_data_ptr(), shape_.row_size(), step.cache->layer(layer).const_data_ptr(),
       in.block_list, in.first_block, in.lengths, partial.data_ptr<float>(), out.data_ptr(),
       in.rows, shape_.heads, shape_.kv_heads, shape_.dim, splits, shape_.scale(), dtype_},
      library_.services.stream()));
  return out;
}

// Causal from the lower right corner: the last row of a span sees its whole context.
at::Tensor CudaRunner::attend_flash(const Step& step, int64_t layer, const at::Tensor& qkv) {
  const CudaInputs& in = step.inputs;
  const at::Tensor k = at::empty({in.num_context, shape_.kv_heads, shape_.dim}, qkv.options());
  const at::Tensor v = at::empty_like(k);
  check(library_.kernels.gather_kv(
      {step.cache->layer(layer).const_data_ptr(), in.context_slots, k.data_ptr(), v.data_ptr(),
       in.num_context, shape_.kv_heads, shape_.dim, dtype_},
      library_.services.stream()));
  const int64_t width = shape_.heads * shape_.dim;
  const at::Tensor q = qkv.narrow(1, 0, width).view({in.rows, shape_.heads, shape_.dim});
  const auto result = at::_flash_attention_forward(
      q, k, v, in.row_ends, in.context_ends, in.longest_span, in.longest_context,
      /*dropout_p=*/0, /*is_causal=*/true, /*return_debug_mask=*/false, shape_.scale());
  return std::get<0>(result).reshape({in.rows, width});
}

at::Tensor CudaRunner::linear(const Step& step, int64_t layer, const at::Tensor& x,
                              const at::Tensor& w, const at::Tensor& bias,
                              LoraUpdate LoraUpdates::*which) {
  const at::Tensor y = at::linear(x, w, bias.defined() ? std::optional(bias) : std::nullopt);
  for (const AdapterRows& rows : step.adapters) {
    const LoraUpdate& update = updates_of(*rows.lora, layer).*which;
    if (!update.a.defined()) continue;
    const int64_t count = rows.end - rows.begin;
    const at::Tensor inner = at::linear(x.narrow(0, rows.begin, count), update.a);
    y.narrow(0, rows.begin, count).add_(at::linear(inner, update.b));
  }
  return y;
}

// The adapter keeps its rounded copies until its weights change; so do the device's.
const LoraUpdates& CudaRunner::updates_of(const Lora& lora, int64_t layer) {
  auto& layers = adapters_[&lora];
  layers.resize(model_.num_layers());
  DeviceUpdates& kept = layers[layer];
  const LoraUpdates now = lora.updates(layer, model_.dtype());
  const auto refresh = [&](LoraUpdate LoraUpdates::*which) {
    const LoraUpdate& source = now.*which;
    if (source.a.is_same((kept.source.*which).a)) return;
    kept.source.*which = source;
    kept.copies.*which = {};
    if (source.a.defined()) kept.copies.*which = {to_device(source.a), to_device(source.b)};
  };
  for (auto which :
       {&LoraUpdates::qkv, &LoraUpdates::o, &LoraUpdates::gate_up, &LoraUpdates::down}) {
    refresh(which);
  }
  return kept.copies;
}

at::Tensor CudaRunner::add_rms_norm(const at::Tensor& x, const at::Tensor& delta,
                                    const at::Tensor& w) {
  const at::Tensor y = at::empty_like(x);
  check(library_.kernels.add_rms_norm(
      {x.data_ptr(), pointer_or_null(delta), w.data_ptr(), y.data_ptr(), x.size(0), x.size(1),
       static_cast<float>(model_.config().rms_norm_eps), dtype_},
      library_.services.stream()));
  return y;
}

at::Tensor CudaRunner::silu_mul(const at::Tensor& gate_up) {
  const int64_t dim = gate_up.size(1) / 2;
  const at::Tensor y = at::empty({gate_up.size(0), dim}, gate_up.options());
  check(library_.kernels.silu_mul({gate_up.data_ptr(), y.data_ptr(), y.size(0), dim, dtype_},
                                  library_.services.stream()));
  return y;
}

void CudaRunner::logits_of(const at::Tensor& normed, const at::Tensor& out) const {
  const at::Tensor& head = model_.lm_head_weight();
  at::Tensor target = out;
  if (normed.scalar_type() == at::kFloat) {
    at::mm_out(target, normed, head.t());
  } else {
    at::mm_out(target, normed, head.t(), at::kFloat);
  }
}

std::vector<kernels::SampleResult> CudaRunner::sample(const at::Tensor& logits,
                                                      std::vector<kernels::SampleArgs> draws) {
  std::vector<kernels::SampleResult> results(draws.size());
  if (draws.empty()) return results;
  enter_thread();
  const at::Tensor rows = logits.contiguous();
  for (size_t i = 0; i < draws.size(); ++i) {
    draws[i].logits = rows.const_data_ptr<float>() + static_cast<int64_t>(i) * rows.size(1);
    draws[i].size = rows.size(1);
  }
  const size_t args_bytes = draws.size() * sizeof(draws[0]);
  const size_t result_bytes = results.size() * sizeof(results[0]);
  WEFT_ASSERT(args_bytes + result_bytes <= static_cast<size_t>(draws_.numel()));
  auto* staged = static_cast<char*>(draw_staging_.reserve(args_bytes + result_bytes));
  std::memcpy(staged, draws.data(), args_bytes);
  auto* args = static_cast<char*>(draws_.data_ptr());
  draw_staging_.copy_to(args, args_bytes);
  check(library_.kernels.sample(
      {reinterpret_cast<const kernels::SampleArgs*>(args),
       reinterpret_cast<kernels::SampleResult*>(args + args_bytes), std::ssize(draws)},
      library_.services.stream()));
  check(library_.services.copy(staged + args_bytes, args + args_bytes, result_bytes));
  check(library_.services.synchronize());
  draw_staging_.rested();
  staging_.rested();
  std::memcpy(results.data(), staged + args_bytes, result_bytes);
  return results;
}

at::Tensor CudaRunner::score_pack(const ScorePack& pack) {
  int64_t num_blocks = 0;
  for (const int64_t length : pack.lengths) num_blocks += KvCache::blocks_for(length);
  KvCache cache(model_.num_layers(), shape_, model_.dtype(), num_blocks,
                model_.final_norm_weight().device());
  std::vector<std::vector<int32_t>> blocks(pack.lengths.size());
  std::vector<StepSpan> spans;
  auto id = pack.ids.begin();
  for (size_t s = 0; s < pack.lengths.size(); ++s) {
    const int64_t length = pack.lengths[s];
    while (std::ssize(blocks[s]) < KvCache::blocks_for(length)) {
      blocks[s].push_back(cache.allocate());
    }
    StepSpan span{{}, 0, &blocks[s], pack.lora, false};
    for (int64_t t = 0; t < length; ++t) span.ids.push_back(static_cast<int32_t>(*id++));
    spans.push_back(std::move(span));
  }
  const HostInputs host(spans, std::ssize(pack.ids), takes_flash());
  const at::Tensor hidden = run_layers({place(host, {}), &cache, host.adapters, takes_flash()});
  const at::Tensor wanted = at::index_select(hidden, 0, to_device(index_tensor(pack.rows)));
  const at::Tensor targets = to_device(index_tensor(pack.targets)).unsqueeze(1);
  const int64_t rows = wanted.size(0), vocab = model_.config().vocab_size;
  at::Tensor logprobs = at::empty({rows}, rope_table_.options());
  for (int64_t first = 0; first < rows; first += kScoreRows) {
    const int64_t count = std::min(kScoreRows, rows - first);
    const at::Tensor logits = at::empty({count, vocab}, rope_table_.options());
    logits_of(wanted.narrow(0, first, count), logits);
    const at::Tensor all = at::log_softmax(logits, 1);
    logprobs.narrow(0, first, count)
        .copy_(all.gather(1, targets.narrow(0, first, count)).squeeze(1));
  }
  return logprobs.to(at::kCPU);
}

std::vector<std::vector<float>> CudaRunner::score(
    const std::vector<ScoreRequest>& requests,
    const std::vector<std::shared_ptr<const Lora>>& adapters) {
  enter_thread();
  return score_in_packs(requests, adapters,
                        [this](const ScorePack& pack) { return score_pack(pack); });
}

}  // namespace weft
