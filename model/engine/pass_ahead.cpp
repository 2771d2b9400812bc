// Scheduler: passes that are planned before the draws of the one before them are known.
#include <algorithm>

#include "base/error.h"
#include "model/engine/scheduler.h"

namespace weft {

// Whether the pass does nothing but decode, and nobody else wants to go on.
bool Scheduler::may_go_on(const PassPlan& under_way) {
  if (!edits_.empty() || under_way.prefilled > 0 || under_way.draws.empty()) return false;
  for (const auto& [id, group] : groups_) {
    const CancelFlag& flag = group.request->request.cancelled;
    if (flag && flag->load()) return false;
    if (group.prompt.state == SequenceState::kPrefilling) return false;
    for (const Sequence& s : group.running) {
      if (s.state == SequenceState::kPrefilling) return false;
    }
  }
  return !next_wish(false);
}

std::optional<PassPlan> Scheduler::plan_ahead(const PassPlan& under_way, const PassCosts& costs) {
  WEFT_ASSERT(plans_ == 1);
  if (!may_go_on(under_way)) return {};
  PassPlan plan;
  std::vector<Sequence*> grows;
  int64_t context = 0;
  for (int64_t i = 0; i < std::ssize(under_way.draws); ++i) {
    const PlannedDraw& draw = under_way.draws[i];
    Group* group = find(draw.request);
    if (!group) continue;
    const auto s = find(*group, draw.choice);
    const int64_t position =
        s == group->running.end() ? group->max_new : std::ssize(s->builder.completion().ids) + 1;
    if (position >= group->max_new) continue;
    const PlannedSpan& before = under_way.spans[draw.row];
    const int64_t start = before.start + 1;
    if (blocks_for(start + 1) > std::ssize(s->blocks)) grows.push_back(&*s);
    context += start + 1;
    plan.draws.push_back(draw_of(*group, draw.choice, position, std::ssize(plan.spans)));
    plan.spans.push_back({group->id, draw.choice, {0}, i, start, {}, before.lora, true});
  }
  if (plan.spans.empty() || available() < std::ssize(grows)) return {};
  for (Sequence* s : grows) s->blocks.push_back(new_block());
  for (PlannedSpan& span : plan.spans) {
    span.blocks = find(*find(span.request), span.choice)->blocks;
  }
  plan.decoded = std::ssize(plan.spans);
  plan.work = PassCosts::pass() + costs.decoding(plan.decoded, context);
  ++plans_;
  update_stats();
  return plan;
}

// What the pass ahead writes of a sequence that has ended is nobody's before that pass is over.
void Scheduler::keep_written(const Sequence& sequence) {
  if (plans_ == 0) return;
  const auto place = static_cast<size_t>(sequence.length / kernels::kBlockTokens);
  if (place >= sequence.blocks.size()) return;
  written_.push_back(sequence.blocks[place]);
  pool_.share(written_.back());
}

// Of sequences that ended before the plan's pass. What it computed in vain may be NaN.
void Scheduler::release_written(const PassResult& result, std::vector<int32_t> blocks) {
  const bool broken =
      std::any_of(result.samples.begin(), result.samples.end(),
                  [](const kernels::SampleResult& sample) { return sample.id < 0; });
  broken ? clear_written(std::move(blocks)) : pool_.release_all(blocks);
}

// A held text may have its last tokens in such a block.
void Scheduler::clear_written(std::vector<int32_t> blocks) {
  const auto shares = [&](const HeldText* held) {
    return std::find(blocks.begin(), blocks.end(), held->blocks.back()) != blocks.end();
  };
  while (true) {
    const auto lost = std::find_if(held_.begin(), held_.end(), shares);
    if (lost == held_.end()) break;
    let_go(**lost);
  }
  clear_from(0, blocks);
  pool_.release_all(blocks);
}

}  // namespace weft
