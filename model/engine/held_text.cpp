// Scheduler: texts that stay in the cache for their owners, beyond the requests that wrote them.
#include <algorithm>

#include "base/error.h"
#include "model/engine/scheduler.h"

namespace weft {

// The blocks of the sequence become the held text's, cut where a stop string cut the text.
void Scheduler::hold(Group& group, Sequence& sequence) {
  HeldText& held = *group.request->hold_as;
  held.num_sampled = sequence.builder.ids_before_stop();
  const auto kept = group.request->prompt.size() + held.num_sampled;
  held.text = text_of(group, sequence);
  held.text.resize(std::min(held.text.size(), kept));
  held.lora = group.request->lora;
  const auto needed = static_cast<size_t>(blocks_for(std::ssize(held.text)));
  held.blocks.assign(sequence.blocks.begin(), sequence.blocks.begin() + std::ptrdiff_t(needed));
  for (const int32_t block : held.blocks) pool_.share(block);
  held_.push_back(&held);
}

// Frees the blocks; what they hold stays known while it can.
void Scheduler::let_go(HeldText& held) {
  if (held.blocks.empty()) return;
  prefixes_.keep(held.lora, held.text, held.blocks);
  pool_.release_all(held.blocks);
  held_.remove(&held);
  update_stats();
}

// Full blocks that the head of the text is known to have: of a held text, or of the prefix index.
std::vector<int32_t> Scheduler::share_known(const Group& group, std::span<const int32_t> text) {
  HeldText* held = group.request->begins_with.get();
  if (!held || held->blocks.empty() || held->lora != group.request->lora) {
    return prefixes_.take(group.request->lora, text);
  }
  held_.splice(held_.end(), held_, std::find(held_.begin(), held_.end(), held));
  const auto full = std::min(text.size(), held->text.size()) / kernels::kBlockTokens;
  std::vector<int32_t> blocks(held->blocks.begin(), held->blocks.begin() + std::ptrdiff_t(full));
  for (const int32_t block : blocks) pool_.share(block);
  return blocks;
}

// Copies the last, partly filled block of a held text behind its full ones, which `blocks` begin
// with. Returns how many tokens `blocks` then hold, at most `most`.
int64_t Scheduler::copy_tail(const Group& group, size_t full, int64_t most,
                             const std::vector<int32_t>& blocks) {
  const int64_t known = static_cast<int64_t>(full) * kernels::kBlockTokens;
  const HeldText* held = group.request->begins_with.get();
  if (!held || held->blocks.size() <= full || held->lora != group.request->lora) return known;
  edits_.push_back({blocks[full], held->blocks[full]});
  return std::min({std::ssize(held->text), most, known + kernels::kBlockTokens - 1});
}

}  // namespace weft
