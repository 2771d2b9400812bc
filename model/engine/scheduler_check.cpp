// Scheduler: whether its books agree.
#include <map>

#include "base/error.h"
#include "model/engine/scheduler.h"

namespace weft {

void Scheduler::check() const {
  std::map<int32_t, int32_t> holders;
  const auto hold = [&](const std::vector<int32_t>& blocks) {
    for (const int32_t block : blocks) ++holders[block];
  };
  std::map<const Job*, Job> counted;
  int64_t slots = 0, choices = 0;
  for (const auto& [id, group] : groups_) {
    WEFT_ASSERT(group.request);
    Job& job = counted[group.job];
    ++job.requests;
    job.choices += group.is_in ? group.request->request.n - group.ended : 0;
    hold(group.prompt.blocks);
    const SequenceState prompt = group.prompt.state;
    const bool has = prompt == SequenceState::kPrefilling || prompt == SequenceState::kReady;
    WEFT_ASSERT(group.prompt.blocks.empty() != has);
    WEFT_ASSERT(group.is_in == (prompt != SequenceState::kWaiting));
    WEFT_ASSERT(group.drawn == group.started + std::ssize(group.firsts));
    WEFT_ASSERT(group.started == group.ended + std::ssize(group.running));
    for (const Sequence& s : group.running) {
      hold(s.blocks);
      job.slots += s.state == SequenceState::kPrefilling || s.state == SequenceState::kDecoding;
      WEFT_ASSERT(s.blocks.empty() == (s.state == SequenceState::kPreempted));
      WEFT_ASSERT(s.blocks.empty() || std::ssize(s.blocks) >= blocks_for(s.length));
      WEFT_ASSERT(s.state != SequenceState::kDecoding || s.computed == s.length);
      WEFT_ASSERT(s.state != SequenceState::kPrefilling || s.computed < s.length);
    }
  }
  for (const auto& [first, job] : jobs_) {
    const Job& own = counted[&job];
    WEFT_ASSERT(job.requests == own.requests && job.slots == own.slots);
    WEFT_ASSERT(job.choices == own.choices);
    slots += job.slots;
    choices += job.choices;
  }
  WEFT_ASSERT(slots == slots_ && slots <= options_.max_batch && choices == choices_);
  for (const HeldText* held : held_) hold(held->blocks);
  hold(written_);
  WEFT_ASSERT(written_.empty() || plans_ > 0);
  int64_t kept = 0;
  for (int32_t block = 0; block < pool_.num_blocks(); ++block) {
    const int32_t by_index = pool_.references(block) - holders[block];
    WEFT_ASSERT(by_index == pool_.is_kept(block));
    kept += by_index;
  }
  WEFT_ASSERT(kept == prefixes_.num_blocks());
}

}  // namespace weft
