#include "model/engine/scheduler.h"

#include <algorithm>
#include <chrono>

#include "base/error.h"
#include "base/memory.h"
#include "base/rng.h"
#include "model/device/cuda/cuda_library.h"

namespace weft {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

int64_t free_memory(const ComputeDevice& device) {
  if (device.library == nullptr) return available_memory();
  int64_t free_bytes = 0, total_bytes = 0;
  const int32_t status = device.library->services.memory(device.index, &free_bytes, &total_bytes);
  if (status != 0) throw Error(std::string("CUDA: ") + device.library->error_text(status));
  return free_bytes;
}

int64_t cache_blocks(const Transformer& model, const EngineOptions& options, int64_t max_context,
                     const ComputeDevice& device) {
  const TransformerConfig& c = model.config();
  const int64_t block =
      KvCache::block_bytes(c.num_layers, {c.num_heads, c.num_kv_heads, c.head_dim}, model.dtype());
  const int64_t budget =
      options.kv_mb > 0
          ? options.kv_mb << 20
          : static_cast<int64_t>(options.kv_fraction * static_cast<double>(free_memory(device)));
  const int64_t most = options.max_batch * (blocks_for(max_context) + 1);
  const int64_t blocks = std::min(budget / block, most);
  if (blocks < 2) {
    throw InputError("kv_mb: expected room for at least 2 blocks of " + std::to_string(block) +
                     " bytes, got " + std::to_string(budget) + " bytes");
  }
  return blocks;
}

}  // namespace

Scheduler::Scheduler(const Transformer& model, const Tokenizer* tokenizer,
                     const EngineOptions& options, int64_t max_context, const ComputeDevice& device)
    : model_(model),
      tokenizer_(tokenizer),
      options_(options),
      max_context_(max_context),
      pool_(cache_blocks(model, options, max_context, device)),
      cache_(model.num_layers(),
             {model.config().num_heads, model.config().num_kv_heads, model.config().head_dim},
             model.dtype(), pool_.num_blocks(), model.final_norm_weight().device()),
      runner_(make_step_runner(device, model, cache_,
                               {options.max_batch, max_context, options.cuda_graphs})),
      prefixes_(pool_, static_cast<int64_t>(options.prefix_fraction *
                                            static_cast<double>(pool_.num_blocks()))) {
  stats_.kv_blocks_total = pool_.num_blocks();
}

int64_t Scheduler::blocks_needed(int64_t prompt_tokens, int64_t max_tokens) const {
  const int64_t longest = std::min(prompt_tokens + max_tokens, max_context_);
  return blocks_for(prompt_tokens) + blocks_for(longest) - prompt_tokens / kernels::kBlockTokens;
}

void Scheduler::add(std::unique_ptr<EngineRequest> request) {
  auto group = std::make_unique<Group>();
  const auto prompt = static_cast<int64_t>(request->prompt.size());
  group->max_new = std::min<int64_t>(request->request.sampling.max_tokens, max_context_ - prompt);
  group->finished.resize(request->request.n);
  group->request = std::move(request);
  WEFT_ASSERT(blocks_needed(prompt, group->max_new) <= pool_.num_blocks());
  groups_.push_back(std::move(group));
  update_stats();
}

void Scheduler::step() {
  end_cancelled();
  admit();
  advance_groups();
  if (!prefill()) decode();
  sweep();
  update_stats();
}

void Scheduler::end_all(ResponseStatus status, const std::string& error) {
  for (auto& group : groups_) {
    if (group->request) end_group(*group, status, error);
  }
  sweep();
  update_stats();
}

void Scheduler::weights_changed() {
  WEFT_ASSERT(!has_work());
  while (!held_.empty()) let_go(*held_.front());
  prefixes_.clear();
  update_stats();
}

void Scheduler::end_cancelled() {
  for (auto& group : groups_) {
    if (!group->request) continue;
    const CancelFlag& flag = group->request->request.cancelled;
    if (flag && flag->load()) end_group(*group, ResponseStatus::kCancelled, "cancelled");
  }
  sweep();
}

// Texts to compute again come first; prompts wait while the batch is full.
std::vector<Scheduler::Chunk> Scheduler::choose_chunks() {
  std::vector<Chunk> waiting;
  for (auto& group : groups_) {
    for (Sequence& s : group->running) {
      if (s.recomputing()) waiting.push_back({group.get(), &s, s.length - s.computed});
    }
  }
  if (num_running_ < options_.max_batch) {
    for (auto& group : groups_) {
      if (!group->prefilling()) continue;
      waiting.push_back({group.get(), nullptr, group->prompt_size() - group->prefilled});
    }
  }
  int64_t budget = options_.prefill_tokens;
  std::vector<Chunk> chosen;
  for (Chunk& chunk : waiting) {
    chunk.count = std::min(budget, chunk.count);
    if (chunk.count == 0) break;
    budget -= chunk.count;
    chosen.push_back(chunk);
  }
  std::stable_sort(chosen.begin(), chosen.end(), [](const Chunk& a, const Chunk& b) {
    return a.group->request->lora.get() < b.group->request->lora.get();
  });
  return chosen;
}

// Computes chunks of what waits for it; false if nothing does.
bool Scheduler::prefill() {
  const std::vector<Chunk> chosen = choose_chunks();
  if (chosen.empty()) return false;
  const auto start = Clock::now();
  std::vector<StepSpan> spans;
  for (const auto& [group, sequence, count] : chosen) {
    const std::vector<int32_t> text =
        sequence ? text_of(*group, *sequence) : group->request->prompt;
    const int64_t first = sequence ? sequence->computed : group->prefilled;
    const int64_t end = first + count;
    spans.push_back({{text.begin() + first, text.begin() + end},
                     first,
                     sequence ? &sequence->blocks : &group->blocks,
                     group->request->lora.get(),
                     !sequence && end == group->prompt_size()});
    stats_.prefill_tokens += count;
  }
  const at::Tensor logits = runner_->forward(spans);
  int64_t row = 0;
  for (size_t i = 0; i < chosen.size(); ++i) {
    Group& group = *chosen[i].group;
    (chosen[i].sequence ? chosen[i].sequence->computed : group.prefilled) += chosen[i].count;
    if (spans[i].wants_logits) group.logits = logits.select(0, row++).clone();
  }
  stats_.prefill_s += seconds_since(start);
  return true;
}

std::vector<Scheduler::Row> Scheduler::decode_rows() {
  std::vector<Row> rows;
  for (auto& group : groups_) {
    for (auto s = group->running.begin(); s != group->running.end(); ++s) {
      if (s->decoding()) rows.push_back({group.get(), s});
    }
  }
  std::stable_sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) {
    return a.group->request->lora.get() < b.group->request->lora.get();
  });
  return rows;
}

void Scheduler::decode() {
  const auto start = Clock::now();
  make_room_to_decode();
  const std::vector<Row> rows = decode_rows();
  if (rows.empty()) return;
  std::vector<StepSpan> spans;
  for (const Row& row : rows) {
    Sequence& s = *row.sequence;
    spans.push_back({{s.next}, s.length, &s.blocks, row.group->request->lora.get(), true});
    s.computed = ++s.length;
  }
  take_samples(rows, runner_->forward(spans));
  ++stats_.decode_steps;
  stats_.decode_s += seconds_since(start);
}

void Scheduler::take_samples(const std::vector<Row>& rows, const at::Tensor& logits) {
  std::vector<kernels::SampleArgs> draws;
  for (const Row& row : rows) {
    const Sequence& s = *row.sequence;
    draws.push_back(
        draw_of(*row.group, s.choice, static_cast<int64_t>(s.builder.completion().ids.size())));
  }
  const auto samples = runner_->sample(logits, std::move(draws));
  for (size_t i = 0; i < rows.size(); ++i) {
    Group& group = *rows[i].group;
    if (!group.request) continue;
    if (samples[i].id < 0) {
      end_group(group, ResponseStatus::kFailed, "the model's logits are not finite");
      continue;
    }
    ++stats_.decoded_tokens;
    rows[i].sequence->next = static_cast<int32_t>(samples[i].id);
    if (rows[i].sequence->builder.push(samples[i])) end_sequence(group, rows[i].sequence);
  }
}

// The text so far, without the token that was sampled last.
std::vector<int32_t> Scheduler::text_of(const Group& group, const Sequence& sequence) const {
  std::vector<int32_t> text = group.request->prompt;
  const auto& sampled = sequence.builder.completion().ids;
  text.insert(text.end(), sampled.begin(), sampled.end());
  text.resize(static_cast<size_t>(std::min<int64_t>(sequence.length, std::ssize(text))));
  return text;
}

void Scheduler::end_sequence(Group& group, std::list<Sequence>::iterator sequence) {
  prefixes_.keep(group.request->lora, text_of(group, *sequence), sequence->blocks);
  if (group.request->hold_as) hold(group, *sequence);
  group.finished[sequence->choice] = sequence->builder.take();
  release_blocks(*sequence);
  group.running.erase(sequence);
  --num_running_;
  if (group.running.empty() && !group.starting()) end_group(group, ResponseStatus::kOk, "");
}

// The logits are the runner's to fill in.
kernels::SampleArgs Scheduler::draw_of(const Group& group, int choice, int64_t position) const {
  const SamplingParams& s = group.request->request.sampling;
  return {nullptr,
          0,
          philox_uniform(s.seed, choice, position),
          static_cast<float>(s.temperature),
          static_cast<float>(s.top_p),
          static_cast<float>(s.min_p),
          s.top_k};
}

// Known blocks were computed without harm, and others may read them.
void Scheduler::clear_from(size_t first, const std::vector<int32_t>& blocks) {
  for (size_t b = first; b < blocks.size(); ++b) cache_.clear(blocks[b]);
}

void Scheduler::release_blocks(Sequence& sequence) {
  num_active_ -= !sequence.blocks.empty();
  pool_.release_all(sequence.blocks);
}

// Frees what the group holds in the cache.
void Scheduler::release(Group& group) {
  for (Sequence& s : group.running) release_blocks(s);
  num_running_ -= std::ssize(group.running);
  pool_.release_all(group.blocks);
}

void Scheduler::end_group(Group& group, ResponseStatus status, const std::string& error) {
  if (status == ResponseStatus::kFailed) {
    clear_from(group.known_blocks, group.blocks);
    for (const Sequence& s : group.running) clear_from(s.known_blocks, s.blocks);
  }
  release(group);
  TextResponse response;
  response.status = status;
  response.error = error;
  for (Sequence& s : group.running) group.finished[s.choice] = s.builder.take();
  for (Completion& c : group.finished) {
    response.usage.completion_tokens += static_cast<int64_t>(c.ids.size());
    if (status == ResponseStatus::kOk || status == ResponseStatus::kCancelled) {
      response.choices.push_back(std::move(c));
    }
  }
  response.usage.prompt_tokens = group.prompt_size();
  response.usage.cached_tokens = group.cached_tokens;
  response.prompt_ids = std::move(group.request->prompt);
  group.running.clear();
  ended_.emplace_back(std::move(group.request), std::move(response));
}

void Scheduler::answer() {
  for (auto& [request, response] : std::exchange(ended_, {})) {
    request->done(std::move(response));
  }
}

void Scheduler::sweep() {
  groups_.remove_if([](const auto& group) { return !group->request; });
}

void Scheduler::update_stats() {
  stats_.kv_blocks_used = pool_.num_used();
  stats_.kv_blocks_idle = pool_.num_idle();
  stats_.running = num_running_;
  stats_.queued = std::count_if(groups_.begin(), groups_.end(), [](const auto& g) {
    return g->running.empty() && g->blocks.empty();
  });
}

}  // namespace weft
