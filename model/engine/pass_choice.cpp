// Scheduler: what a pass computes.
#include <algorithm>

#include "base/rng.h"
#include "model/engine/scheduler.h"

namespace weft {
std::vector<Scheduler::Chunk> Scheduler::choose_decoding(PassPlan& plan, const PassCosts& costs) {
  std::vector<Chunk> chosen;
  int64_t context = 0;
  for (auto& [id, group] : groups_) {
    for (Sequence& s : group.running) {
      if (s.state != SequenceState::kDecoding) continue;
      chosen.push_back({&group, &s, 1, 1});
      context += s.length + 1;
    }
  }
  plan.decoded = std::ssize(chosen);
  plan.work = PassCosts::pass() + costs.decoding(plan.decoded, context);
  return chosen;
}

// Texts to compute again come first, then prompts, both by arrival.
std::vector<Scheduler::Chunk> Scheduler::texts_to_compute() {
  std::vector<Chunk> texts;
  for (auto& [id, group] : groups_) {
    for (Sequence& s : group.running) {
      if (s.state == SequenceState::kPrefilling)
        texts.push_back({&group, &s, s.length - s.computed});
    }
  }
  for (auto& [id, group] : groups_) {
    if (group.prompt.state != SequenceState::kPrefilling) continue;
    texts.push_back({&group, nullptr, group.prompt_size() - group.prompt.computed});
  }
  return texts;
}

// Beside sequences that decode, as much as makes the pass kMixedPass times as long, but at least
// one token: prompts always go on.
void Scheduler::choose_prefilling(PassPlan& plan, const PassCosts& costs,
                                  std::vector<Chunk>& chosen) {
  const bool mixed = plan.decoded > 0, by_costs = mixed && options_.mixed_tokens == 0;
  int64_t tokens = options_.prefill_tokens;
  if (mixed && !by_costs) tokens = std::min(tokens, options_.mixed_tokens);
  const double alone = costs.seconds(plan.work);
  std::vector<size_t> complete;  // prompts, by their place in `chosen`
  for (Chunk& chunk : texts_to_compute()) {
    const int64_t start = chunk.text().computed, left = chunk.count;
    chunk.count = std::min(left, tokens);
    if (by_costs) {
      const int64_t most = costs.tokens_within(plan.work, start, kMixedPass * alone);
      chunk.count = std::min(chunk.count, std::max<int64_t>(most, plan.prefilled == 0));
    }
    if (chunk.count == 0) break;
    const bool draws = !chunk.sequence && chunk.count == left && chunk.group->firsts.empty();
    if (draws && std::ssize(complete) == most_first_draws(options_.max_batch) && --chunk.count == 0)
      continue;
    tokens -= chunk.count;
    plan.prefilled += chunk.count;
    plan.work = plan.work + costs.prefilling(start, chunk.count);
    if (draws && chunk.count == left) complete.push_back(chosen.size());
    chosen.push_back(chunk);
  }
  plan.prefill_share = mixed ? 1 - alone / costs.seconds(plan.work) : 1;
  share_first_draws(complete, chosen);
}

// Prompts that are complete draw the first tokens of as many choices as one pass may, each of one
// or more.
void Scheduler::share_first_draws(const std::vector<size_t>& complete,
                                  std::vector<Chunk>& chosen) const {
  int64_t draws = most_first_draws(options_.max_batch), others = std::ssize(complete);
  for (const size_t place : complete) {
    Chunk& chunk = chosen[place];
    const int64_t wanted = chunk.group->request->request.n - chunk.group->drawn;
    chunk.draws = static_cast<int>(std::min(wanted, draws / others--));
    draws -= chunk.draws;
  }
}

void Scheduler::add_spans(PassPlan& plan, std::vector<Chunk> chunks) const {
  std::stable_sort(chunks.begin(), chunks.end(), [](const Chunk& a, const Chunk& b) {
    return a.group->request->lora.get() < b.group->request->lora.get();
  });
  int64_t row = 0;
  for (const Chunk& chunk : chunks) {
    const Group& group = *chunk.group;
    const Sequence* s = chunk.sequence;
    const int64_t start = chunk.text().computed;
    PlannedSpan span{group.id,
                     s ? s->choice : kPrompt,
                     {},
                     kNoDraw,
                     start,
                     chunk.text().blocks,
                     group.request->lora.get(),
                     chunk.draws > 0};
    if (s && s->state == SequenceState::kDecoding) {
      span.ids = {s->next};
    } else {
      const std::vector<int32_t> ids = s ? text_of(group, *s) : group.request->prompt;
      span.ids.assign(ids.begin() + start, ids.begin() + start + chunk.count);
    }
    plan.spans.push_back(std::move(span));
    for (int i = 0; i < chunk.draws; ++i) {
      const int64_t position = s ? std::ssize(s->builder.completion().ids) : 0;
      plan.draws.push_back(draw_of(group, s ? s->choice : group.drawn + i, position, row));
    }
    row += chunk.draws > 0;
  }
}

PlannedDraw Scheduler::draw_of(const Group& group, int choice, int64_t position,
                               int64_t row) const {
  const SamplingParams& s = group.request->request.sampling;
  return {group.id,
          choice,
          row,
          {nullptr, 0, philox_uniform(s.seed, choice, position), static_cast<float>(s.temperature),
           static_cast<float>(s.top_p), static_cast<float>(s.min_p), s.top_k}};
}

}  // namespace weft
