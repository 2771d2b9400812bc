// Scheduler: who gets slots, and blocks of the cache.
#include <algorithm>

#include "base/error.h"
#include "model/engine/scheduler.h"

namespace weft {

// Gives slots and blocks to those whose turn it is. Where one finds no room, the others take no
// blocks before it does.
void Scheduler::grant_wishes() {
  bool no_room = false;
  while (const auto wish = next_wish(no_room)) {
    if (!grant(*wish)) no_room = true;
  }
  sweep();
}

// Turns go by the slots that a job has, then by how long it has had so many, then by arrival. Where
// nothing has a slot, the oldest request goes first: for it there is always room.
std::optional<Scheduler::Wish> Scheduler::next_wish(bool no_room) {
  const Census census = count_jobs();
  std::optional<Wish> next;
  for (auto& [id, group] : groups_) {
    if (!group.request) continue;
    const auto wish = wish_of(group, no_room, census);
    if (wish && (!next || wish->turn < next->turn)) next = wish;
    if (next && slots_ == 0) break;
  }
  return next;
}

Scheduler::Census Scheduler::count_jobs() const {
  Census census;
  for (const auto& [first_request, job] : jobs_) {
    census.most_slots = std::max(census.most_slots, job.slots);
    if (job.choices == 0) continue;
    ++census.jobs;
    census.without_slot += job.slots == 0;
    if (job.choices > job.slots) census.contested += job.slots;
  }
  return census;
}

// With `no_room`, only what needs no block.
std::optional<Scheduler::Wish> Scheduler::wish_of(Group& group, bool no_room,
                                                  const Census& census) {
  const Job& job = *group.job;
  const std::pair turn{job.slots, job.since};
  if (!group.is_in) {
    if (no_room || !may_enter(job, census)) return {};
    return Wish{Want::kPrompt, &group, nullptr, {job.choices, job.since}};
  }
  const bool may_have_slot = slots_ < options_.max_batch || census.most_slots >= job.slots + 2;
  if (may_have_slot) {
    for (Sequence& s : group.running) {
      if (s.state == SequenceState::kPaused) return Wish{Want::kSlot, &group, &s, turn};
    }
  }
  if (no_room) return {};
  if (group.prompt.state == SequenceState::kReady && group.firsts.empty()) {
    return Wish{Want::kDraw, &group, nullptr, turn};
  }
  if (!may_have_slot) return {};
  for (Sequence& s : group.running) {
    if (s.state == SequenceState::kPreempted) return Wish{Want::kResume, &group, &s, turn};
  }
  if (group.prompt.state == SequenceState::kReady) {
    return Wish{Want::kStart, &group, nullptr, turn};
  }
  if (group.prompt.state == SequenceState::kPreempted) {
    return Wish{Want::kPrompt, &group, nullptr, turn};
  }
  return {};
}

// A request comes in while there are slots for all choices that are in, while its job has less than
// its share, or, being the first of its job, ahead of a slot that another job would take again.
bool Scheduler::may_enter(const Job& job, const Census& census) const {
  if (choices_ < options_.max_batch) return true;
  if (job.choices == 0 && census.without_slot < census.contested) return true;
  return job.choices < options_.max_batch / (census.jobs + (job.choices == 0));
}

// False if there is no room for it yet.
bool Scheduler::grant(const Wish& wish) {
  Group& group = *wish.group;
  if (wish.want == Want::kPrompt) return let_in(group);
  if (wish.want == Want::kDraw) return draw_more(group);
  if (slots_ == options_.max_batch) pause_one();
  if (wish.want == Want::kResume) return resume(group, *wish.sequence);
  if (wish.want == Want::kStart) return start_choice(group);
  Sequence& s = *wish.sequence;
  set_state(group, s,
            s.computed == s.length ? SequenceState::kDecoding : SequenceState::kPrefilling);
  return true;
}

// Only where there is room.
int32_t Scheduler::new_block() {
  if (pool_.num_free() == 0) prefixes_.evict();
  return pool_.allocate();
}

// Whether the group may take so many blocks. What runs keeps a block each to grow into; where
// nothing runs, younger requests make way, and the group's own prompt if it may.
bool Scheduler::claim(const Group& group, int64_t blocks, bool own_prompt_too) {
  if (slots_ > 0) return has_room(blocks + slots_);
  while (!has_room(blocks)) {
    const Holder holder = youngest(nullptr, &group);
    if (!holder.first || (holder.first == &group && !own_prompt_too)) return false;
    preempt(holder);
  }
  return true;
}

// Adds blocks to the known ones at the head of a text, so many in all; gives them back where there
// is no room.
bool Scheduler::complete_blocks(const Group& group, std::vector<int32_t>& blocks, int64_t total,
                                bool own_prompt_too) {
  if (!claim(group, total - std::ssize(blocks), own_prompt_too)) {
    pool_.release_all(blocks);
    return false;
  }
  while (std::ssize(blocks) < total) blocks.push_back(new_block());
  return true;
}

// Gives a prompt its blocks.
bool Scheduler::let_in(Group& group) {
  // All but the last token may be known: its logits are wanted.
  const std::span<const int32_t> ids = group.request->prompt;
  const auto most_known = ids.first(ids.size() - 1);
  std::vector<int32_t> blocks = share_known(group, most_known);
  const size_t full = blocks.size();
  if (!complete_blocks(group, blocks, blocks_for(group.prompt_size()))) return false;
  CachedText& prompt = group.prompt;
  prompt.blocks = std::move(blocks);
  prompt.known_blocks = full;
  prompt.computed = copy_tail(group, full, std::ssize(most_known), prompt.blocks);
  prompt.state = SequenceState::kPrefilling;
  stats_.prompt_tokens += group.prompt_size();
  stats_.cached_tokens += prompt.computed;
  if (group.is_in) return true;
  group.is_in = true;
  group.cached_tokens = prompt.computed;
  group.job->choices += group.request->request.n;
  choices_ += group.request->request.n;
  return true;
}

// Gives a preempted sequence a slot and blocks again.
bool Scheduler::resume(Group& group, Sequence& sequence) {
  std::vector<int32_t> blocks = prefixes_.take(group.request->lora, text_of(group, sequence));
  const size_t known = blocks.size();
  const int64_t total = blocks_for(sequence.length + 1);
  if (!complete_blocks(group, blocks, total, /*own_prompt_too=*/true)) return false;
  sequence.blocks = std::move(blocks);
  sequence.known_blocks = known;
  sequence.computed = static_cast<int64_t>(known) * kernels::kBlockTokens;
  const bool whole = sequence.computed == sequence.length;
  set_state(group, sequence, whole ? SequenceState::kDecoding : SequenceState::kPrefilling);
  return true;
}

// The prompt's last token is to be computed again, for the first tokens of more choices than one
// pass draws. It goes to a block that nobody else reads.
bool Scheduler::draw_more(Group& group) {
  CachedText& prompt = group.prompt;
  if (pool_.references(prompt.blocks.back()) > 1) {
    if (!claim(group, 1)) return false;
    const int32_t own = new_block();
    edits_.push_back({own, prompt.blocks.back()});
    pool_.release(std::exchange(prompt.blocks.back(), own));
    prompt.known_blocks = std::min(prompt.known_blocks, prompt.blocks.size() - 1);
  }
  prompt.computed = group.prompt_size() - 1;
  prompt.state = SequenceState::kPrefilling;
  return true;
}

// Starts the next choice with its first token.
bool Scheduler::start_choice(Group& group) {
  const size_t full = group.request->prompt.size() / kernels::kBlockTokens;
  const bool shares_all = full == group.prompt.blocks.size();
  if (!claim(group, shares_all ? 0 : 1)) return false;
  const int choice = group.started++;
  const auto first = group.firsts.front();
  group.firsts.pop_front();
  const auto sequence = group.running.insert(
      group.running.end(),
      {{SequenceState::kWaiting, {}, full, group.prompt_size()},
       choice,
       group.prompt_size(),
       0,
       CompletionBuilder(group.request->request, choice, tokenizer_, eos_ids_, group.max_new)});
  set_state(group, *sequence, SequenceState::kDecoding);
  std::vector<int32_t>& blocks = sequence->blocks;
  blocks.assign(group.prompt.blocks.begin(), group.prompt.blocks.begin() + std::ptrdiff_t(full));
  for (const int32_t block : blocks) pool_.share(block);
  if (!shares_all) {
    blocks.push_back(new_block());
    edits_.push_back({blocks.back(), group.prompt.blocks[full]});
  }
  if (!group.starting()) {
    group.prompt.state = SequenceState::kEnded;
    release_prompt(group);
  }
  push(group, sequence, first);
  return true;
}

// What is prefilled or decoded has a slot.
void Scheduler::set_state(const Group& group, Sequence& sequence, SequenceState state) {
  const auto has_slot = [](SequenceState s) {
    return s == SequenceState::kPrefilling || s == SequenceState::kDecoding;
  };
  const int64_t change = has_slot(state) - has_slot(sequence.state);
  slots_ += change;
  group.job->slots += change;
  if (change != 0) group.job->since = ++clock_;
  sequence.state = state;
}

}  // namespace weft
