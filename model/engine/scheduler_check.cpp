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
  int64_t running = 0, active = 0;
  for (const auto& [id, group] : groups_) {
    WEFT_ASSERT(group.request);
    hold(group.prompt.blocks);
    for (const Sequence& s : group.running) {
      hold(s.blocks);
      ++running;
      active += !s.blocks.empty();
      WEFT_ASSERT(s.blocks.empty() == (s.state == SequenceState::kPreempted));
      WEFT_ASSERT(s.computed <= s.length);
      WEFT_ASSERT((s.state == SequenceState::kDecoding) <= (s.computed == s.length));
      WEFT_ASSERT(s.blocks.empty() || std::ssize(s.blocks) >= blocks_for(s.length));
    }
    const bool holds = !group.prompt.blocks.empty();
    WEFT_ASSERT(holds == (group.prompt.state == SequenceState::kPrefilling ||
                          group.prompt.state == SequenceState::kReady));
    WEFT_ASSERT(group.drawn == group.started + std::ssize(group.firsts));
  }
  for (const HeldText* held : held_) hold(held->blocks);
  WEFT_ASSERT(running == num_running_ && active == num_active_);
  int64_t kept = 0;
  for (int32_t block = 0; block < pool_.num_blocks(); ++block) {
    const int32_t by_index = pool_.references(block) - holders[block];
    WEFT_ASSERT(by_index == 0 || by_index == 1);
    kept += by_index;
  }
  WEFT_ASSERT(kept == prefixes_.num_blocks());
}

}  // namespace weft
