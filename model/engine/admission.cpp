// Scheduler: who gets blocks of the cache, and who loses them when it is full.
#include "base/error.h"
#include "model/engine/scheduler.h"

namespace weft {

// Only where there is room.
int32_t Scheduler::new_block() {
  if (pool_.num_free() == 0) prefixes_.evict();
  return pool_.allocate();
}

// Whether the group may take so many blocks. What runs keeps a block each to grow into; where
// nothing runs, younger requests make way, and the group's own prompt if it may.
bool Scheduler::claim(const Group& group, int64_t blocks, bool own_prompt_too) {
  if (num_active_ > 0) return has_room(blocks + num_active_);
  while (!has_room(blocks)) {
    const auto [victim, sequence] = youngest(&group);
    if (!victim || (victim == &group && !own_prompt_too)) return false;
    preempt(*victim, sequence);
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

// Lets requests in, in their order, while there is room for their prompts.
void Scheduler::admit() {
  int64_t prompts = 0;
  bool others_wait = false;
  for (auto& [id, group] : groups_) {
    for (const Sequence& s : group.running) others_wait = others_wait || s.blocks.empty();
    if (!group.starting()) continue;
    if (++prompts > options_.max_batch) return;
    if (!group.prompt.blocks.empty()) continue;
    if (others_wait || !let_in(group)) return;
  }
}

// Gives a prompt its blocks; false where there is no room for it.
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
  if (prompt.state == SequenceState::kWaiting) group.cached_tokens = prompt.computed;
  prompt.state = SequenceState::kPrefilling;
  stats_.prompt_tokens += group.prompt_size();
  stats_.cached_tokens += prompt.computed;
  return true;
}

// Resumes sequences and starts choices, in the order of the requests.
void Scheduler::advance_groups() {
  for (auto& [id, group] : groups_) {
    if (!advance(group)) break;
  }
  sweep();
}

// False where the group lacks room, and so do those behind it.
bool Scheduler::advance(Group& group) {
  for (Sequence& s : group.running) {
    if (s.state == SequenceState::kPreempted && !resume(group, s)) return false;
  }
  while (group.request && group.prompt.state == SequenceState::kReady &&
         num_running_ < options_.max_batch) {
    if (!(group.firsts.empty() ? draw_more(group) : start_choice(group))) return false;
  }
  return true;
}

// Gives a preempted sequence blocks again; false if there is no room yet.
bool Scheduler::resume(Group& group, Sequence& sequence) {
  std::vector<int32_t> blocks = prefixes_.take(group.request->lora, text_of(group, sequence));
  const size_t known = blocks.size();
  const int64_t total = blocks_for(sequence.length + 1);
  if (!complete_blocks(group, blocks, total, /*own_prompt_too=*/true)) return false;
  sequence.blocks = std::move(blocks);
  sequence.known_blocks = known;
  sequence.computed = static_cast<int64_t>(known) * kernels::kBlockTokens;
  const bool whole = sequence.computed == sequence.length;
  sequence.state = whole ? SequenceState::kDecoding : SequenceState::kPrefilling;
  ++num_active_;
  return true;
}

// The prompt's last token is to be computed again, for the first tokens of more choices than one
// step draws. It goes to a block that nobody else reads. False if there is no room for that yet.
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

// Starts the next choice with its first token; false if there is no room for it yet.
bool Scheduler::start_choice(Group& group) {
  const size_t full = group.request->prompt.size() / kernels::kBlockTokens;
  const bool shares_all = full == group.prompt.blocks.size();
  if (!claim(group, shares_all ? 0 : 1)) return false;
  const int choice = group.started++;
  const auto first = group.firsts.front();
  group.firsts.pop_front();
  const auto sequence = group.running.insert(
      group.running.end(),
      {{SequenceState::kDecoding, {}, full, group.prompt_size()},
       choice,
       group.prompt_size(),
       0,
       CompletionBuilder(group.request->request, choice, tokenizer_, eos_ids_, group.max_new)});
  ++num_running_;
  ++num_active_;
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

// Every sequence that decodes gets a block for its next token, or loses all.
void Scheduler::make_room_to_decode() {
  for (auto& [id, group] : groups_) {
    for (Sequence& s : group.running) {
      if (s.state != SequenceState::kDecoding) continue;
      if (blocks_for(s.length + 1) <= std::ssize(s.blocks)) continue;
      while (!has_room(1) && !s.blocks.empty()) {
        const auto [victim, sequence] = youngest();
        preempt(*victim, sequence);
      }
      if (!s.blocks.empty()) s.blocks.push_back(new_block());
    }
  }
}

// The last sequence that holds blocks, or the prompt of its group where no sequence of it does;
// none of a request older than `oldest`, where that is given.
std::pair<Scheduler::Group*, Scheduler::Sequence*> Scheduler::youngest(const Group* oldest) {
  for (auto entry = groups_.rbegin(); entry != groups_.rend(); ++entry) {
    Group& group = entry->second;
    for (auto s = group.running.rbegin(); s != group.running.rend(); ++s) {
      if (!s->blocks.empty()) return {&group, &*s};
    }
    if (!group.prompt.blocks.empty()) return {&group, nullptr};
    if (&group == oldest) break;
  }
  return {};
}

// Takes the blocks of a sequence, or of a prompt (null). What they hold stays known while it can,
// if a token that was drawn after it says that it is finite.
void Scheduler::preempt(Group& group, Sequence* sequence) {
  const auto& lora = group.request->lora;
  if (sequence) {
    std::vector<int32_t> text = text_of(group, *sequence);
    text.resize(static_cast<size_t>(sequence->computed));
    prefixes_.keep(lora, text, sequence->blocks);
    release_blocks(*sequence);
    sequence->computed = 0;
    sequence->state = SequenceState::kPreempted;
  } else {
    const std::span<const int32_t> prompt = group.request->prompt;
    const auto computed = static_cast<size_t>(group.prompt.computed);
    if (group.drawn > 0) prefixes_.keep(lora, prompt.first(computed), group.prompt.blocks);
    release_prompt(group);
    group.prompt.state = SequenceState::kPreempted;
  }
  ++stats_.preemptions;
}

}  // namespace weft
