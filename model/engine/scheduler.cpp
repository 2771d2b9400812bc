#include "model/engine/scheduler.h"

#include <algorithm>

#include "base/error.h"
#include "base/rng.h"

namespace weft {

Scheduler::Scheduler(const SchedulerOptions& options, const Tokenizer* tokenizer,
                     std::vector<int32_t> eos_ids)
    : options_(options),
      tokenizer_(tokenizer),
      eos_ids_(std::move(eos_ids)),
      pool_(options.num_blocks),
      prefixes_(pool_, options.kept_blocks) {
  stats_.kv_blocks_total = pool_.num_blocks();
}

int64_t Scheduler::blocks_needed(int64_t prompt_tokens, int64_t max_tokens) const {
  const int64_t longest = std::min(prompt_tokens + max_tokens, options_.max_context);
  return blocks_for(prompt_tokens) + blocks_for(longest) - prompt_tokens / kernels::kBlockTokens;
}

int64_t Scheduler::add(std::unique_ptr<EngineRequest> request) {
  const auto prompt = static_cast<int64_t>(request->prompt.size());
  const int64_t id = ++last_id_;
  Group& group = groups_[id];
  group.id = id;
  group.max_new =
      std::min<int64_t>(request->request.sampling.max_tokens, options_.max_context - prompt);
  group.finished.resize(request->request.n);
  group.request = std::move(request);
  WEFT_ASSERT(blocks_needed(prompt, group.max_new) <= pool_.num_blocks());
  update_stats();
  return id;
}

StepPlan Scheduler::plan() {
  end_cancelled();
  admit();
  advance_groups();
  StepPlan plan;
  add_prefilling(plan);
  if (plan.spans.empty()) add_decoding(plan);
  if (plan.spans.empty()) {  // the last sequence made room, for an older one
    advance_groups();
    add_prefilling(plan);
    if (plan.spans.empty()) add_decoding(plan);
  }
  plan.edits = std::exchange(edits_, {});
  sweep();
  update_stats();
  WEFT_ASSERT(!plan.spans.empty() || groups_.empty());
  return plan;
}

void Scheduler::apply(const StepPlan& plan, const StepResult& result) {
  WEFT_ASSERT(result.samples.size() == plan.draws.size());
  for (const PlannedSpan& span : plan.spans) take_computed(span);
  for (size_t i = 0; i < plan.draws.size(); ++i) take_sample(plan.draws[i], result.samples[i]);
  stats_.prefill_tokens += plan.prefilled;
  stats_.decode_steps += plan.decoded > 0;
  (plan.decoded > 0 ? stats_.decode_s : stats_.prefill_s) += result.seconds;
  sweep();
  advance_groups();  // what ends at its first token does not wait for another step
  update_stats();
}

void Scheduler::fail(const StepPlan& plan, const std::string& error) {
  for (const BlockEdit& edit : plan.edits) {
    if (edit.from == kZeros) edits_.push_back(edit);
  }
  end_all(ResponseStatus::kFailed, error);
}

void Scheduler::end_all(ResponseStatus status, const std::string& error) {
  for (auto& [id, group] : groups_) {
    if (group.request) end_group(group, status, error);
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
  for (auto& [id, group] : groups_) {
    const CancelFlag& flag = group.request->request.cancelled;
    if (flag && flag->load()) end_group(group, ResponseStatus::kCancelled, "cancelled");
  }
  sweep();
}

// Texts to compute again come first; prompts wait while the batch is full.
std::vector<Scheduler::Chunk> Scheduler::choose_chunks() {
  std::vector<Chunk> waiting;
  for (auto& [id, group] : groups_) {
    for (Sequence& s : group.running) {
      if (s.state == SequenceState::kPrefilling) {
        waiting.push_back({&group, &s, s.length - s.computed});
      }
    }
  }
  if (num_running_ < options_.max_batch) {
    for (auto& [id, group] : groups_) {
      if (group.prompt.state != SequenceState::kPrefilling) continue;
      waiting.push_back({&group, nullptr, group.prompt_size() - group.prompt.computed});
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

void Scheduler::add_prefilling(StepPlan& plan) {
  int64_t row = 0;
  int first_draws = static_cast<int>(most_first_draws(options_.max_batch));
  for (const Chunk& chunk : choose_chunks()) plan_chunk(plan, chunk, row, first_draws);
}

// `row` is the next of the logits; `first_draws` is how many first tokens the step may still draw,
// one of each prompt beyond that.
void Scheduler::plan_chunk(StepPlan& plan, const Chunk& chunk, int64_t& row, int& first_draws) {
  const auto& [group, sequence, count] = chunk;
  const CachedText& text = sequence ? *sequence : group->prompt;
  const std::vector<int32_t> ids = sequence ? text_of(*group, *sequence) : group->request->prompt;
  const int64_t end = text.computed + count;
  const bool draws = !sequence && end == group->prompt_size() && group->firsts.empty();
  plan.spans.push_back({group->id,
                        sequence ? sequence->choice : kPrompt,
                        {ids.begin() + text.computed, ids.begin() + end},
                        text.computed,
                        text.blocks,
                        group->request->lora.get(),
                        draws});
  plan.prefilled += count;
  if (!draws) return;
  const int num = std::clamp(first_draws, 1, group->request->request.n - group->drawn);
  for (int i = 0; i < num; ++i) plan.draws.push_back(draw_of(*group, group->drawn + i, 0, row));
  first_draws -= num;
  ++row;
}

void Scheduler::add_decoding(StepPlan& plan) {
  make_room_to_decode();
  std::vector<std::pair<const Group*, const Sequence*>> rows;
  for (const auto& [id, group] : groups_) {
    for (const Sequence& s : group.running) {
      if (s.state == SequenceState::kDecoding) rows.emplace_back(&group, &s);
    }
  }
  std::stable_sort(rows.begin(), rows.end(), [](const auto& a, const auto& b) {
    return a.first->request->lora.get() < b.first->request->lora.get();
  });
  for (const auto& [group, s] : rows) {
    const int64_t position = std::ssize(s->builder.completion().ids);
    plan.draws.push_back(draw_of(*group, s->choice, position, plan.decoded++));
    plan.spans.push_back(
        {group->id, s->choice, {s->next}, s->length, s->blocks, group->request->lora.get(), true});
  }
}

// The logits are the runner's to fill in.
PlannedDraw Scheduler::draw_of(const Group& group, int choice, int64_t position,
                               int64_t row) const {
  const SamplingParams& s = group.request->request.sampling;
  return {group.id,
          choice,
          row,
          {nullptr, 0, philox_uniform(s.seed, choice, position), static_cast<float>(s.temperature),
           static_cast<float>(s.top_p), static_cast<float>(s.min_p), s.top_k}};
}

Scheduler::Group* Scheduler::find(int64_t request) {
  const auto found = groups_.find(request);
  return found == groups_.end() || !found->second.request ? nullptr : &found->second;
}

std::list<Scheduler::Sequence>::iterator Scheduler::find(Group& group, int choice) {
  return std::find_if(group.running.begin(), group.running.end(),
                      [&](const Sequence& s) { return s.choice == choice; });
}

SequenceState Scheduler::state(int64_t request, int choice) const {
  const auto found = groups_.find(request);
  if (found == groups_.end()) return SequenceState::kEnded;
  const Group& group = found->second;
  if (choice == kPrompt) return group.prompt.state;
  if (choice >= group.started) return SequenceState::kWaiting;
  for (const Sequence& s : group.running) {
    if (s.choice == choice) return s.state;
  }
  return SequenceState::kEnded;
}

void Scheduler::take_computed(const PlannedSpan& span) {
  Group* group = find(span.request);
  if (!group) return;
  const int64_t end = span.start + std::ssize(span.ids);
  if (span.choice == kPrompt) {
    group->prompt.computed = end;
    if (end == group->prompt_size()) group->prompt.state = SequenceState::kReady;
    return;
  }
  Sequence& s = *find(*group, span.choice);
  s.computed = end;
  s.length = std::max(s.length, end);
  if (end == s.length) s.state = SequenceState::kDecoding;
}

void Scheduler::take_sample(const PlannedDraw& draw, const kernels::SampleResult& sample) {
  Group* group = find(draw.request);
  if (!group) return;
  if (sample.id < 0) {
    end_group(*group, ResponseStatus::kFailed, "the model's logits are not finite");
    return;
  }
  if (draw.choice < group->started) {
    push(*group, find(*group, draw.choice), sample);
    return;
  }
  if (group->drawn == 0) {
    prefixes_.keep(group->request->lora, group->request->prompt, group->prompt.blocks);
    group->prompt.known_blocks = group->request->prompt.size() / kernels::kBlockTokens;
  }
  ++group->drawn;
  group->firsts.push_back(sample);
}

void Scheduler::push(Group& group, std::list<Sequence>::iterator sequence,
                     const kernels::SampleResult& sample) {
  ++stats_.decoded_tokens;
  sequence->next = static_cast<int32_t>(sample.id);
  if (sequence->builder.push(sample)) end_sequence(group, sequence);
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

// Known blocks were computed without harm, and others may read them.
void Scheduler::clear_from(size_t first, const std::vector<int32_t>& blocks) {
  for (size_t b = first; b < blocks.size(); ++b) edits_.push_back({blocks[b], kZeros});
}

// Before a token was drawn after it, a prompt may have left NaN in the cache.
void Scheduler::release_prompt(Group& group) {
  CachedText& prompt = group.prompt;
  if (group.drawn == 0) clear_from(prompt.known_blocks, prompt.blocks);
  pool_.release_all(prompt.blocks);
  prompt.computed = 0;
}

void Scheduler::release_blocks(Sequence& sequence) {
  num_active_ -= !sequence.blocks.empty();
  pool_.release_all(sequence.blocks);
}

void Scheduler::end_group(Group& group, ResponseStatus status, const std::string& error) {
  for (Sequence& s : group.running) {
    if (status == ResponseStatus::kFailed) clear_from(s.known_blocks, s.blocks);
    release_blocks(s);
    group.finished[s.choice] = s.builder.take();
  }
  num_running_ -= std::ssize(group.running);
  group.running.clear();
  if (status == ResponseStatus::kFailed) group.drawn = 0;
  release_prompt(group);
  TextResponse response;
  response.status = status;
  response.error = error;
  for (Completion& c : group.finished) {
    response.usage.completion_tokens += static_cast<int64_t>(c.ids.size());
    if (status == ResponseStatus::kOk || status == ResponseStatus::kCancelled) {
      response.choices.push_back(std::move(c));
    }
  }
  response.usage.prompt_tokens = group.prompt_size();
  response.usage.cached_tokens = group.cached_tokens;
  response.prompt_ids = std::move(group.request->prompt);
  ended_.emplace_back(std::move(group.request), std::move(response));
}

void Scheduler::answer() {
  for (auto& [request, response] : std::exchange(ended_, {})) {
    request->done(std::move(response));
  }
}

void Scheduler::sweep() {
  std::erase_if(groups_, [](const auto& entry) { return !entry.second.request; });
}

void Scheduler::update_stats() {
  stats_.kv_blocks_used = pool_.num_used();
  stats_.kv_blocks_idle = pool_.num_idle();
  stats_.running = num_running_;
  stats_.queued = std::count_if(groups_.begin(), groups_.end(), [](const auto& entry) {
    return entry.second.running.empty() && entry.second.prompt.blocks.empty();
  });
}

}  // namespace weft
