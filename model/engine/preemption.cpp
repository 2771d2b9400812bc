// Scheduler: who loses slots, and blocks of the cache where it is full.
#include "base/error.h"
#include "model/engine/scheduler.h"

namespace weft {

// The youngest of those with most slots. There is a job.
const Scheduler::Job& Scheduler::largest_job() const {
  const Job* largest = nullptr;
  for (const auto& [first_request, job] : jobs_) {
    if (!largest || job.slots >= largest->slots) largest = &job;
  }
  WEFT_ASSERT(largest);
  return *largest;
}

// The last sequence that fits, or nothing.
template <class Fits>
Scheduler::Holder Scheduler::youngest_sequence(const Fits& fits) {
  for (auto entry = groups_.rbegin(); entry != groups_.rend(); ++entry) {
    auto& running = entry->second.running;
    for (auto s = running.rbegin(); s != running.rend(); ++s) {
      if (fits(entry->second, *s)) return {&entry->second, &*s};
    }
  }
  return {};
}

// Frees a slot of the largest job.
void Scheduler::pause_one() {
  const Job* from = &largest_job();
  const auto [group, sequence] = youngest_sequence([&](const Group& g, const Sequence& s) {
    return g.job == from &&
           (s.state == SequenceState::kPrefilling || s.state == SequenceState::kDecoding);
  });
  set_state(*group, *sequence, SequenceState::kPaused);
}

// Whether so many blocks are to be had, if need be from what was held longest, then from sequences
// without a slot.
bool Scheduler::has_room(int64_t blocks) {
  while (available() < blocks && !held_.empty()) let_go(*held_.front());
  while (available() < blocks) {
    const Holder paused = youngest_sequence(
        [](const Group&, const Sequence& s) { return s.state == SequenceState::kPaused; });
    if (!paused.first) return false;
    preempt(paused);
  }
  return true;
}

// Every sequence that decodes gets a block for its next token, or loses all: the youngest one, of
// the largest job where that has others.
void Scheduler::make_room_to_decode() {
  for (auto& [id, group] : groups_) {
    for (Sequence& s : group.running) {
      if (s.state != SequenceState::kDecoding) continue;
      if (blocks_for(s.length + 1) <= std::ssize(s.blocks)) continue;
      while (!has_room(1) && !s.blocks.empty()) {
        const Job& largest = largest_job();
        preempt(youngest(largest.slots > 1 ? &largest : nullptr, nullptr));
      }
      if (!s.blocks.empty()) s.blocks.push_back(new_block());
    }
  }
}

// The last sequence that holds blocks, or the prompt of its group where no sequence of it does; of
// this job and of no request older than `oldest`, where they are given.
Scheduler::Holder Scheduler::youngest(const Job* job, const Group* oldest) {
  for (auto entry = groups_.rbegin(); entry != groups_.rend(); ++entry) {
    Group& group = entry->second;
    if (job && group.job != job) continue;
    for (auto s = group.running.rbegin(); s != group.running.rend(); ++s) {
      if (!s->blocks.empty()) return {&group, &*s};
    }
    if (!group.prompt.blocks.empty()) return {&group, nullptr};
    if (&group == oldest) break;
  }
  return {};
}

// Takes the blocks. What they hold stays known while it can, if a token that was drawn after it
// says that it is finite.
void Scheduler::preempt(Holder holder) {
  auto& [group, sequence] = holder;
  const auto& lora = group->request->lora;
  if (sequence) {
    std::vector<int32_t> text = text_of(*group, *sequence);
    text.resize(static_cast<size_t>(sequence->computed));
    prefixes_.keep(lora, text, sequence->blocks);
    set_state(*group, *sequence, SequenceState::kPreempted);
    pool_.release_all(sequence->blocks);
    sequence->computed = 0;
  } else {
    const std::span<const int32_t> prompt = group->request->prompt;
    const auto computed = static_cast<size_t>(group->prompt.computed);
    if (group->drawn > 0) prefixes_.keep(lora, prompt.first(computed), group->prompt.blocks);
    release_prompt(*group);
    group->prompt.state = SequenceState::kPreempted;
  }
  ++stats_.preemptions;
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

}  // namespace weft
