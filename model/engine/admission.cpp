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
  for (auto& group : groups_) {
    for (const Sequence& s : group->running) others_wait = others_wait || s.blocks.empty();
    if (!group->starting()) continue;
    if (++prompts > options_.max_batch) return;
    if (!group->blocks.empty()) continue;
    if (others_wait) return;
    // All but the last token may be known: its logits are wanted.
    const std::span<const int32_t> prompt = group->request->prompt;
    const auto most_known = prompt.first(prompt.size() - 1);
    std::vector<int32_t> blocks = share_known(*group, most_known);
    const size_t full = blocks.size();
    if (!complete_blocks(*group, blocks, blocks_for(group->prompt_size()))) return;
    group->blocks = std::move(blocks);
    group->known_blocks = full;
    group->prefilled = copy_tail(*group, full, std::ssize(most_known), group->blocks);
    group->cached_tokens = group->prefilled;
    stats_.prompt_tokens += group->prompt_size();
    stats_.cached_tokens += group->cached_tokens;
  }
}

// Resumes sequences and starts choices, in the order of the requests.
void Scheduler::advance_groups() {
  for (auto& group : groups_) {
    if (!advance(*group)) break;
  }
  sweep();
}

// False where the group lacks room, and so do those behind it.
bool Scheduler::advance(Group& group) {
  for (Sequence& s : group.running) {
    if (s.blocks.empty() && !resume(group, s)) return false;
  }
  while (group.request && group.logits.defined() && num_running_ < options_.max_batch) {
    if (!start_choice(group)) return false;
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
  ++num_active_;
  return true;
}

// Draws the first token of the next choice; false if there is no room for it yet.
bool Scheduler::start_choice(Group& group) {
  const int64_t full = group.prompt_size() / kernels::kBlockTokens;
  const bool shares_all = full == std::ssize(group.blocks);
  if (!claim(group, shares_all ? 0 : 1)) return false;
  const int choice = group.started++;
  group.running.push_back({choice,
                           {},
                           static_cast<size_t>(full),
                           group.prompt_size(),
                           group.prompt_size(),
                           0,
                           CompletionBuilder(group.request->request, choice, tokenizer_,
                                             model_.config().eos_ids, group.max_new)});
  ++num_running_;
  const auto sequence = std::prev(group.running.end());
  const auto sample = runner_->sample(group.logits.unsqueeze(0), {draw_of(group, choice, 0)})[0];
  if (sample.id < 0) {
    end_group(group, ResponseStatus::kFailed, "the model's logits are not finite");
    return true;
  }
  if (choice == 0) {
    prefixes_.keep(group.request->lora, group.request->prompt, group.blocks);
    group.known_blocks = static_cast<size_t>(full);
  }
  ++stats_.decoded_tokens;
  sequence->next = static_cast<int32_t>(sample.id);
  const bool ended = sequence->builder.push(sample);
  if (!ended) {
    for (int64_t b = 0; b < full; ++b) pool_.share(group.blocks[b]);
    sequence->blocks.assign(group.blocks.begin(), group.blocks.begin() + full);
    if (!shares_all) {
      sequence->blocks.push_back(new_block());
      cache_.copy(group.blocks[full], sequence->blocks.back());
    }
    ++num_active_;
  }
  if (!group.starting()) {
    group.logits.reset();
    pool_.release_all(group.blocks);
  }
  if (ended) end_sequence(group, sequence);
  return true;
}

// Every sequence that decodes gets a block for its next token, or loses all.
void Scheduler::make_room_to_decode() {
  for (auto& group : groups_) {
    for (Sequence& s : group->running) {
      if (!s.decoding() || blocks_for(s.length + 1) <= std::ssize(s.blocks)) continue;
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
  for (auto group = groups_.rbegin(); group != groups_.rend(); ++group) {
    auto& running = (*group)->running;
    for (auto s = running.rbegin(); s != running.rend(); ++s) {
      if (!s->blocks.empty()) return {group->get(), &*s};
    }
    if (!(*group)->blocks.empty()) return {group->get(), nullptr};
    if (group->get() == oldest) break;
  }
  return {};
}

// Takes the blocks of a sequence, or of a prompt (null). What they hold stays known while it can.
void Scheduler::preempt(Group& group, Sequence* sequence) {
  const auto& lora = group.request->lora;
  if (sequence) {
    std::vector<int32_t> text = text_of(group, *sequence);
    text.resize(static_cast<size_t>(sequence->computed));
    prefixes_.keep(lora, text, sequence->blocks);
    release_blocks(*sequence);
    sequence->computed = 0;
  } else {
    const std::span<const int32_t> prompt = group.request->prompt;
    prefixes_.keep(lora, prompt.first(static_cast<size_t>(group.prefilled)), group.blocks);
    pool_.release_all(group.blocks);
    group.prefilled = 0;
    group.logits.reset();
  }
  ++stats_.preemptions;
}

}  // namespace weft
