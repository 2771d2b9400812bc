#include "model/engine/cuda_runner.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "model/engine/block_pool.h"
#include "model/engine/logprobs.h"
#include "model/ops/cuda/cuda_ops.h"
#include "model/ops/one_order.h"

namespace weft {
namespace {

constexpr int64_t kTileWords = sizeof(cuda::LoraTile) / sizeof(int32_t);

// Batch sizes that graphs are recorded for: more of them where a row more costs most.
int64_t bucket_size(int64_t rows) {
  if (rows <= 2) return rows;
  const int64_t granule = rows <= 4 ? 4 : rows <= 64 ? 8 : 32;
  return (rows + granule - 1) / granule * granule;
}

class CudaPagedAttention : public Attention {
 public:
  CudaPagedAttention(const Transformer& model, KvCache& cache, const ops::PagedInputs& inputs)
      : model_(model), cache_(cache), inputs_(inputs) {}

  at::Tensor attend(int64_t layer, const TransformerLayer& weights,
                    const at::Tensor& qkv) const override {
    const ops::HeadNorms norms{weights.q_norm, weights.k_norm, model_.config().rms_norm_eps};
    return ops::rotary_paged_attention(qkv, norms, model_.rope_table(), inputs_,
                                       cache_.layer(layer), model_.head_shape());
  }

 private:
  const Transformer& model_;
  KvCache& cache_;
  const ops::PagedInputs& inputs_;
};

}  // namespace

CudaRunner::CudaRunner(const ComputeDevice& device, const Transformer& model, KvCache& cache,
                       const PassLimits& limits)
    : context_(device),
      model_(model),
      cache_(cache),
      max_batch_(limits.max_batch),
      max_context_(limits.max_context),
      graphs_(limits.cuda_graphs),
      invariant_(limits.invariant),
      turns_{Turn(context_), Turn(context_)},
      adapters_(context_, model, max_batch_) {
  const TransformerConfig& config = model.config();
  ops::check_cuda_shape(config.hidden_size, config.intermediate_size, config.head_dim);
  ops::install_cuda_forms(device);
  const int64_t rows = bucket_size(max_batch_);
  const int64_t row_inputs = 10 + 4 * most_attend_parts(max_context_) + blocks_for(max_context_);
  const auto options = at::TensorOptions(model.device());
  decode_inputs_ = at::empty({rows * row_inputs + 3}, options.dtype(at::kInt));
  decode_logits_ = at::empty({rows, config.vocab_size}, options.dtype(at::kFloat));
  const int64_t most = most_draws(max_batch_);
  const int64_t turn_bytes =
      most * static_cast<int64_t>(sizeof(kernels::SampleArgs) + sizeof(kernels::SampleResult));
  draws_ = at::empty({2 * turn_bytes}, options.dtype(at::kByte));
  auto* next = static_cast<char*>(draws_.data_ptr());
  for (Turn& each : turns_) {
    each.args = reinterpret_cast<kernels::SampleArgs*>(next);
    each.results = reinterpret_cast<kernels::SampleResult*>(each.args + most);
    next += turn_bytes;
  }
}

CudaRunner::~CudaRunner() {
  context_.settle();  // what goes now may still be in use
  for (const auto& [size, bucket] : buckets_) {
    if (bucket->graph) context_.destroy(bucket->graph);
  }
}

void CudaRunner::start() {
  const at::NoGradGuard no_grad;
  const ops::OneOrder one_order(invariant_);
  context_.enter_thread();
  record(/*adapted=*/false);
  rest();
}

// A bucket is recorded with rows that have no slot, no context and no adapter. What a body calls
// first, outside a graph, may set itself up.
void CudaRunner::record(bool adapted) {
  for (int64_t rows = 1; rows <= bucket_size(max_batch_); ++rows) {
    if (bucket_size(rows) != rows) continue;
    auto bucket = std::make_unique<Bucket>();
    bucket->runner = this;
    bucket->adapted = adapted;
    bucket->pass = place(PassRows({}), {}, rows, /*own_rows=*/false, decode_inputs_);
    bucket->logits = decode_logits_.narrow(0, 0, rows);
    run_bucket(bucket.get());
    if (graphs_) bucket->graph = context_.capture(run_bucket, bucket.get());
    auto& place = buckets_[{rows, adapted}];
    if (place && place->graph) context_.destroy(place->graph);
    place = std::move(bucket);
  }
}

void CudaRunner::run_bucket(void* bucket) {
  const auto& self = *static_cast<Bucket*>(bucket);
  self.runner->model_.logits(self.runner->forward_rows(self.pass, self.adapted, {}), self.logits);
}

std::string CudaRunner::numerics() const {
  const bool wide = model_.dtype() == at::kFloat;
  if (invariant_) {
    return std::string(wide ? "f32" : "bf16") +
           ", products of LibTorch on a GPU in panels of one size: logprobs do not depend on the "
           "batch; those of decoding and of given ids agree to rounding";
  }
  return std::string(wide ? "f32" : "bf16") +
         ", products of LibTorch on a GPU, whose sums depend on the batch: logprobs of decoding "
         "and of given ids agree to rounding, a relative " +
         (wide ? "2^-24" : "2^-9") + " at each operation";
}

// Copies a pass to `on_device`, or to memory of its own; its `rows` are at least the host's.
CudaRunner::Pass CudaRunner::place(const PassRows& host, const std::vector<LoraRows>& adapters,
                                   int64_t rows, bool own_rows, const at::Tensor& on_device) {
  auto inputs = own_rows ? ops::HostPagedInputs::of_own_rows(host.spans, model_.head_shape())
                         : ops::HostPagedInputs::from_cache(host.spans, rows);
  if (on_device.defined()) inputs.max_items = rows * most_attend_parts(max_context_);
  std::vector<int32_t> packed = host.ids;
  packed.resize(rows, 0);
  packed.insert(packed.end(), host.of_draw.begin(), host.of_draw.end());
  packed.resize(2 * rows, static_cast<int32_t>(kNoDraw));
  const std::vector<cuda::LoraTile> tiles = plan_lora(adapters);
  packed.push_back(static_cast<int32_t>(tiles.size()));
  for (const auto& [adapter, first, count] : tiles) {
    packed.insert(packed.end(), {adapter, first, count});
  }
  const int64_t before = 2 * rows + 1 + rows * kTileWords;
  packed.resize(before, 0);
  const std::vector<int32_t> rest = inputs.packed();
  packed.insert(packed.end(), rest.begin(), rest.end());
  const size_t bytes = packed.size() * sizeof(int32_t);
  ops::PinnedBuffer& staging = turn(begun_).inputs;
  std::memcpy(staging.reserve(bytes), packed.data(), bytes);
  const at::Tensor all =
      on_device.defined()
          ? on_device
          : at::empty({std::ssize(packed)}, at::TensorOptions(model_.device()).dtype(at::kInt));
  WEFT_ASSERT(std::ssize(packed) <= all.numel());
  staging.copy_to(all.data_ptr(), bytes);
  const int32_t* of_draw = all.const_data_ptr<int32_t>() + rows;
  const int32_t* num_tiles = of_draw + rows;
  return {all.narrow(0, 0, rows), of_draw, num_tiles,
          reinterpret_cast<const cuda::LoraTile*>(num_tiles + 1),
          ops::PagedInputs(inputs, all.narrow(0, before, all.numel() - before))};
}

at::Tensor CudaRunner::forward_rows(const Pass& pass, bool adapted,
                                    const at::Tensor& wanted) const {
  const CudaPagedAttention attention(model_, cache_, pass.inputs);
  if (!adapted) return model_.forward(pass.ids, attention, RowAdapters({}), wanted);
  return model_.forward(pass.ids, attention, BatchedAdapters(adapters_, pass.tiles, pass.num_tiles),
                        wanted);
}

at::Tensor CudaRunner::forward(const std::vector<PassSpan>& spans) {
  const at::NoGradGuard no_grad;
  const ops::OneOrder one_order(invariant_);
  const bool decodes = std::ssize(spans) <= max_batch_ &&
                       std::all_of(spans.begin(), spans.end(), [](const PassSpan& s) {
                         return s.ids.size() == 1 && s.wants_logits;
                       });
  const PassRows host(spans);
  const std::vector<LoraRows> adapters = adapters_.take(host.adapters);
  if (decodes) return decode(host, adapters);
  const bool with_context =
      std::any_of(spans.begin(), spans.end(), [](const PassSpan& s) { return s.start > 0; });
  const bool own_rows = !invariant_ && host.num_rows() > std::ssize(spans) &&
                        ops::takes_own_rows(model_.dtype(), model_.head_shape(), with_context);
  const Pass pass = place(host, adapters, host.num_rows(), own_rows, {});
  return model_.logits(
      forward_rows(pass, !adapters.empty(), index_tensor(host.wanted).to(model_.device())));
}

at::Tensor CudaRunner::decode(const PassRows& host, const std::vector<LoraRows>& adapters) {
  const bool adapted = !adapters.empty();
  if (adapted && recorded_generation_ != adapters_.generation()) {
    context_.synchronize();
    record(adapted);
    recorded_generation_ = adapters_.generation();
  }
  Bucket& bucket = *buckets_.at({bucket_size(host.num_rows()), adapted});
  // Writes the places that the bucket reads.
  const Pass pass =
      place(host, adapters, bucket.logits.size(0), /*own_rows=*/false, decode_inputs_);
  if (std::any_of(host.of_draw.begin(), host.of_draw.end(), [](int32_t d) { return d >= 0; })) {
    WEFT_ASSERT(begun_ > 0);
    context_.check(context_.kernels().take_ids({pass.ids.data_ptr<int32_t>(), pass.of_draw,
                                                turn(begun_ - 1).results, pass.ids.size(0)},
                                               context_.stream()),
                   "take_ids");
  }
  bucket.graph ? context_.replay(bucket.graph) : run_bucket(&bucket);
  return bucket.logits.narrow(0, 0, host.num_rows());
}

void CudaRunner::draw(const at::Tensor& logits, std::vector<kernels::SampleArgs> draws,
                      const std::vector<int64_t>& rows) {
  Turn& now = turn(begun_++);
  now.num_draws = draws.size();
  if (draws.empty()) return;
  const at::Tensor all = logits.contiguous();
  for (size_t i = 0; i < draws.size(); ++i) {
    draws[i].logits = all.const_data_ptr<float>() + rows[i] * all.size(1);
    draws[i].size = all.size(1);
  }
  WEFT_ASSERT(std::ssize(draws) <= most_draws(max_batch_));
  const size_t args_bytes = draws.size() * sizeof(draws[0]);
  const size_t result_bytes = draws.size() * sizeof(*now.results);
  auto* staged = static_cast<char*>(now.draws.reserve(args_bytes + result_bytes));
  std::memcpy(staged, draws.data(), args_bytes);
  now.draws.copy_to(now.args, args_bytes);
  context_.check(
      context_.kernels().sample({now.args, now.results, std::ssize(draws)}, context_.stream()),
      "sample");
  now.host_results = reinterpret_cast<const kernels::SampleResult*>(staged + args_bytes);
  context_.copy(staged + args_bytes, now.results, result_bytes);
  now.done.record();
}

std::vector<kernels::SampleResult> CudaRunner::drawn() {
  WEFT_ASSERT(asked_ < begun_);
  Turn& last = turn(asked_++);
  if (last.num_draws == 0) return {};
  last.done.wait();
  return {last.host_results, last.host_results + last.num_draws};
}

std::vector<std::vector<float>> CudaRunner::logprobs(
    const std::vector<LogprobRequest>& requests,
    const std::vector<std::shared_ptr<const Lora>>& adapters) {
  const ops::OneOrder one_order(invariant_);
  return packed_logprobs(model_, requests, adapters, throw_if_stopped);
}

void CudaRunner::rest() {
  context_.synchronize();
  adapters_.clear();
}

void CudaRunner::weights_changed() { context_.settle(); }

}  // namespace weft
