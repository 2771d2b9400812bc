#include "model/engine/scheduler.h"

#include <algorithm>

#include "base/error.h"

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
  const bool joins =
      request->job != 0 && request->job == newest_job_.first && jobs_.contains(newest_job_.second);
  if (!joins) {
    newest_job_ = {request->job, id};
    jobs_[id].since = ++clock_;
  }
  Group& group = groups_[id];
  group.id = id;
  group.job = &jobs_.at(newest_job_.second);
  ++group.job->requests;
  group.max_new =
      std::min<int64_t>(request->request.sampling.max_tokens, options_.max_context - prompt);
  group.finished.resize(request->request.n);
  group.request = std::move(request);
  WEFT_ASSERT(blocks_needed(prompt, group.max_new) <= pool_.num_blocks());
  update_stats();
  return id;
}

PassPlan Scheduler::plan(const PassCosts& costs) {
  end_cancelled();
  grant_wishes();
  make_room_to_decode();
  if (slots_ == 0) {  // the last sequence made room, for an older one
    grant_wishes();
    make_room_to_decode();
  }
  PassPlan plan;
  std::vector<Chunk> chosen = choose_decoding(plan, costs);
  choose_prefilling(plan, costs, chosen);
  add_spans(plan, std::move(chosen));
  plan.edits = std::exchange(edits_, {});
  update_stats();
  WEFT_ASSERT(!plan.spans.empty() || groups_.empty());
  plans_ = 1;
  return plan;
}

void Scheduler::apply(const PassPlan& plan, const PassResult& result) {
  WEFT_ASSERT(result.samples.size() == plan.draws.size() && plans_ > 0);
  --plans_;
  std::vector<int32_t> written = std::exchange(written_, {});
  for (const PlannedSpan& span : plan.spans) take_computed(span);
  for (size_t i = 0; i < plan.draws.size(); ++i) take_sample(plan.draws[i], result.samples[i]);
  stats_.prefill_tokens += plan.prefilled;
  stats_.decode_passes += plan.decoded > 0;
  stats_.passes_ahead += !plan.spans.empty() && plan.spans[0].of_draw != kNoDraw;
  stats_.prefill_s += result.seconds * plan.prefill_share;
  stats_.decode_s += result.seconds * (1 - plan.prefill_share);
  release_written(result, std::move(written));
  sweep();
  if (plans_ == 0) grant_wishes();  // what ends at its first token does not wait for another pass
  update_stats();
}

// Of a pass that may not have been computed.
void Scheduler::keep_clears(const PassPlan& plan) {
  for (const BlockEdit& edit : plan.edits) {
    if (edit.from == kZeros) edits_.push_back(edit);
  }
}

void Scheduler::fail(const PassPlan& plan, const std::string& error) {
  keep_clears(plan);
  end_all(ResponseStatus::kFailed, error);
}

bool Scheduler::all_cancelled() const {
  return std::all_of(groups_.begin(), groups_.end(), [](const auto& entry) {
    const auto& request = entry.second.request;
    return !request || (request->request.cancelled && request->request.cancelled->load());
  });
}

void Scheduler::drop(const PassPlan& plan) {
  keep_clears(plan);
  end_all(ResponseStatus::kCancelled, "cancelled");
}

void Scheduler::end_all(ResponseStatus status, const std::string& error) {
  plans_ = 0;
  clear_written(std::exchange(written_, {}));
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
  const auto found = find(*group, span.choice);
  if (found == group->running.end()) return;
  Sequence& s = *found;
  s.computed = end;
  s.length = std::max(s.length, end);
  if (end == s.length) set_state(*group, s, SequenceState::kDecoding);
}

void Scheduler::take_sample(const PlannedDraw& draw, const kernels::SampleResult& sample) {
  Group* group = find(draw.request);
  if (!group) return;
  const bool is_first = draw.choice >= group->started;
  const auto sequence = find(*group, draw.choice);
  if (!is_first && sequence == group->running.end()) return;
  if (sample.id < 0) {
    end_group(*group, ResponseStatus::kFailed, "the model's logits are not finite");
    return;
  }
  if (!is_first) {
    push(*group, sequence, sample);
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
  keep_written(*sequence);
  group.finished[sequence->choice] = sequence->builder.take();
  set_state(group, *sequence, SequenceState::kEnded);
  pool_.release_all(sequence->blocks);
  group.running.erase(sequence);
  ++group.ended;
  --group.job->choices;
  --choices_;
  if (group.running.empty() && !group.starting()) end_group(group, ResponseStatus::kOk, "");
}

void Scheduler::end_group(Group& group, ResponseStatus status, const std::string& error) {
  const bool failed = status == ResponseStatus::kFailed;
  for (Sequence& s : group.running) {
    if (failed) clear_from(s.known_blocks, s.blocks);
    keep_written(s);
    set_state(group, s, SequenceState::kEnded);
    pool_.release_all(s.blocks);
    group.finished[s.choice] = s.builder.take();
  }
  group.running.clear();
  if (failed) group.drawn = 0;
  release_prompt(group);
  const int64_t left = group.is_in ? group.request->request.n - group.ended : 0;
  group.job->choices -= left;
  choices_ -= left;
  --group.job->requests;
  TextResponse response;
  response.status = status;
  response.error = error;
  response.lowered = group.request->lowered;
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
  std::erase_if(jobs_, [](const auto& entry) { return entry.second.requests == 0; });
}

void Scheduler::update_stats() {
  stats_.kv_blocks_used = pool_.num_used();
  stats_.kv_blocks_idle = pool_.num_idle();
  stats_.running = slots_;
  stats_.queued = 0;
  for (const auto& [id, group] : groups_) {
    stats_.running += group.prompt.state == SequenceState::kPrefilling;
    stats_.queued += !group.is_in;
  }
}

}  // namespace weft
