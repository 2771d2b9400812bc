/// Body of the sampling kernel: one block draws from one row of logits.
///
/// It reads the row once for the greatest logit, once for the masses and, where the ranking is cut,
/// a histogram of the weights, once for a finer one of where the cuts and the draw may lie, and
/// once to gather the few ids among which they do; these are sorted. Equal weights are counted in
/// place of being gathered. So it reads a row at most four times, and a 256th of it again at most,
/// unless more than kCandidates ids at the cuts and the draw have weights that differ, but hardly:
/// by less than 2^-10 of themselves, or less than the bounds of what is kept tell apart. Then the
/// places are found one after the other, with three histograms and one gathering each: 15 times at
/// most.
#pragma once

#include "model/ops/cuda/cuda_library.h"
#include "model/ops/cuda/sample_ranking.h"
#include "model/ops/cuda/sample_row.h"
#include "model/ops/cuda/simt.h"

namespace weft::cuda {

/// Ids of the spans of several keys.
WEFT_SIMT uint32_t count_candidates(const Span (&spans)[kSeekers]) {
  uint32_t ids = 0, begin = 0, end = 0;
  WEFT_UNROLL
  for (int s = kSeekers - 1; s >= 0; --s) {  // as they rank, but that neighbours may overlap
    const Span& span = spans[s];
    if (span.empty() || span.one_key()) continue;
    if (span.count_above >= end) {
      ids += end - begin;
      begin = span.count_above;
    }
    begin = Min()(begin, span.count_above);
    end = Max()(end, span.count_through);
  }
  return ids + end - begin;
}

/// Draws from the cut ranking.
template <class Block>
struct Search {
  const Row<Block>& row;
  const kernels::SampleArgs& a;
  Histogram<Block> ranking;
  Masses<Block> masses;
  int listed = 0;

  WEFT_SIMT bool cuts_k() const { return a.top_k > 0 && a.top_k < row.size; }
  WEFT_SIMT bool cuts_p() const { return a.top_p < 1; }
  WEFT_SIMT auto spans() const { return row.block.template shared<Span>(kSpansAt); }
  WEFT_SIMT auto list() const { return row.block.template shared<uint64_t>(kListAt); }
  WEFT_SIMT auto chunks() const { return row.block.template shared<uint32_t>(kChunksAt); }

  WEFT_SIMT uint64_t last_of_k() const { return static_cast<uint64_t>(a.top_k - 1); }
  /// Target of the last id that top_p keeps of a mass.
  WEFT_SIMT uint64_t last_of_p(uint64_t mass) const {
    const double wanted = ceil(static_cast<double>(a.top_p) * static_cast<double>(mass));
    return mass_share(1.0, static_cast<uint64_t>(wanted > 1 ? wanted : 1), mass) - 1;
  }
  WEFT_SIMT uint64_t drawn_of(uint64_t kept) const { return mass_share(a.uniform, kept, kept - 1); }

  /// Keys that can matter. Below the last id that top_p keeps are (1 - top_p) of the mass, which is
  /// at least 1, on fewer than `size` ids; below min_p the mass that is kept is that of min_p.
  WEFT_SIMT Span all_keys() const {
    float lowest = 0.999f * row.weight_of(row.lowest);  // with room for rounding
    if (!cuts_k()) {
      if (cuts_p()) {
        lowest = Max()(lowest, 0.5f * (1.0f - a.top_p) / static_cast<float>(row.size));
      }
      lowest = Max()(lowest, a.min_p);
    }
    Span all;
    all.low = Max()(key_at_most_one(lowest), kLowestKey);
    all.high = kOneKey + 1;
    return all;
  }

  /// The mass down to the place at which it (or the number of ids) first exceeds `target`, which
  /// has the span's only key: equal weights follow each other.
  WEFT_SIMT uint64_t mass_in_key(const Span& span, uint64_t target, bool by_count) const {
    const uint64_t each = mass_of_key(span.low);
    const uint64_t before =
        by_count ? target - span.count_above : (target - span.mass_above) / each;
    return span.mass_above + (before + 1) * each;
  }

  WEFT_SIMT void set_spans(const Span (&found)[kSeekers]) const {
    row.block.sync();
    WEFT_UNROLL
    for (int s = 0; s < kSeekers; ++s) {
      if (row.block.thread() == 0) spans()[s] = found[s];
    }
    row.block.sync();
  }

  /// Finds where the places lie as far as the histogram tells, and how many ids may be them, but
  /// where a span has one key. While one of them is known between bounds only, so is the mass that
  /// the next one is looked for at. A span is empty where its place is not looked for or below all
  /// keys that count.
  WEFT_SIMT uint32_t find_spans() const {
    Span found[kSeekers];
    uint64_t low = masses.all(), high = masses.all();  // what is kept so far
    if (cuts_k()) {
      const Span& span = found[0] = ranking.between(last_of_k(), last_of_k(), true);
      const uint64_t inside = last_of_k() + 1 - span.count_above;
      if (!span.empty()) {
        low = span.mass_above + inside * mass_of_key(span.low);
        high = Min()(span.mass_through, span.mass_above + inside * mass_of_key(span.high - 1));
      }
    }
    if (cuts_p()) {
      const uint64_t least = last_of_p(low), most = last_of_p(high);
      const Span& span = found[1] = ranking.between(least, most, false);
      if (span.one_key()) {
        low = mass_in_key(span, least, false);
        high = mass_in_key(span, most, false);
      } else if (!span.empty()) {
        low = Max()(least + 1, span.mass_above + mass_of_key(span.low));
        high = Min()(Min()(high, span.mass_through), most + mass_of_key(span.high - 1));
      }
    }
    low = drawn_of(Min()(low, masses.from_min_p()));
    high = drawn_of(Min()(high, masses.from_min_p()));
    found[2] = ranking.between(low, high, false);
    set_spans(found);
    return count_candidates(found);
  }

  /// Sorts the ids of the spans of several keys, kCandidates of them at most, as they rank; an
  /// entry is the key's complement, then the id. Counts the drawn id's only key by chunks.
  WEFT_SIMT void gather() {
    Block& block = row.block;
    const auto counter = block.template shared<uint32_t>(kCounterAt);
    ranking.template clear<uint32_t>(kCounterAt, 1);
    ranking.template clear<uint32_t>(kChunksAt, kChunks + 1);
    block.sync();
    uint32_t low[kSeekers], high[kSeekers];
    WEFT_UNROLL
    for (int s = 0; s < kSeekers; ++s) {
      const Span span = spans()[s];
      low[s] = span.low;
      high[s] = span.one_key() ? span.low : span.high;
    }
    const Span drawn = spans()[kSeekers - 1];
    const uint32_t counted = drawn.one_key() ? drawn.low : 0;
    const int bits = chunk_bits();
    for_share(block, row.logits, row.size, [&](float logit, int id) {
      const uint32_t key = row.key_of(logit);
      if (key == counted) block.add_shared(chunks() + (id >> bits), 1u);
      bool wanted = false;
      WEFT_UNROLL
      for (int s = 0; s < kSeekers; ++s) wanted |= key >= low[s] && key < high[s];
      if (!wanted) return;
      const uint64_t entry = static_cast<uint64_t>(~key) << 32 | static_cast<uint32_t>(id);
      list()[block.add_shared(counter, 1u)] = entry;
    });
    block.sync();
    listed = static_cast<int>(static_cast<uint32_t>(counter[0]));
    sum_up(block, kChunks, chunks());
    sort_ascending(block, list(), listed);
  }

  /// A chunk is 2^chunk_bits ids.
  WEFT_SIMT int chunk_bits() const {
    int bits = 0;
    while ((row.size - 1) >> bits >= kChunks) ++bits;
    return bits;
  }

  /// A place of the ranking: the mass down to it and itself, and its id.
  struct Place {
    uint64_t mass, id;
  };

  /// The place of a gathered span at which the mass (or the number of ids) first exceeds `target`.
  WEFT_SIMT Place place(const Span& span, uint64_t target, bool by_count) const {
    Block& block = row.block;
    const auto results = block.template shared<uint64_t>(kResultAt);
    const auto key_of = [&](int i) { return ~static_cast<uint32_t>(uint64_t{list()[i]} >> 32); };
    const int share = (listed + block.size() - 1) / block.size();
    const int begin = Min()(block.thread() * share, listed), end = Min()(begin + share, listed);
    uint64_t before[2] = {0, 0};  // mass, ids
    for (int i = begin; i < end; ++i) {
      if (!span.holds(key_of(i))) continue;
      before[0] += mass_of_key(key_of(i));
      ++before[1];
    }
    scan_block(block, row.scratch(), before);
    uint64_t mass = span.mass_above + before[0], count = span.count_above + before[1];
    for (int i = begin; i < end; ++i) {
      if (!span.holds(key_of(i))) continue;
      const uint64_t own = mass_of_key(key_of(i));
      const bool here = by_count ? count == target : mass <= target && mass + own > target;
      mass += own;
      ++count;
      if (!here) continue;
      results[0] = mass;
      results[1] = uint64_t{list()[i]} & 0xffffffffu;
    }
    block.sync();
    const Place result{results[0], results[1]};
    block.sync();
    return result;
  }

  /// The mass down to the place; 2^64 - 1 where the span is empty.
  WEFT_SIMT uint64_t mass_to(const Span& span, uint64_t target, bool by_count) const {
    if (span.empty()) return ~uint64_t{0};
    return span.one_key() ? mass_in_key(span, target, by_count)
                          : place(span, target, by_count).mass;
  }

  WEFT_SIMT int drawn_id(const Span& span, uint64_t target) const {
    if (!span.one_key()) return static_cast<int>(place(span, target, false).id);
    const uint64_t among = (target - span.mass_above) / mass_of_key(span.low);
    const int chunk = last_at_most(chunks(), 0, kChunks, among), bits = chunk_bits();
    return find_in_order(
        row, chunk << bits, Min()((chunk + 1) << bits, row.size), among - chunks()[chunk],
        [&](float logit) -> uint64_t { return row.key_of(logit) == span.low ? 1 : 0; });
  }

  template <class AddKey>
  WEFT_SIMT void for_keys(AddKey add) const {
    for_share(row.block, row.logits, row.size, [&](float logit, int) { add(row.key_of(logit)); });
  }

  /// Finds and gathers the span of one place, by histograms of ever fewer keys: at most three.
  WEFT_SIMT void narrow(int seeker, uint64_t target, bool by_count) {
    Span span{kLowestKey, kOneKey + 1};
    do {
      ranking.start(span);
      for_keys([&](uint32_t key) { ranking.add(key); });
      ranking.finish();
      span = ranking.at(target, by_count);
    } while (!span.one_key() && span.ids() > kCandidates);
    Span found[kSeekers];
    WEFT_UNROLL
    for (int s = 0; s < kSeekers; ++s) {
      if (s == seeker) found[s] = span;
    }
    set_spans(found);
    gather();
  }

  /// Draws an id and gives the mass of those drawn from. Each span is known by one key or gathered,
  /// or is found where it is its turn.
  WEFT_SIMT int follow(bool in_turn, uint64_t* kept) {
    *kept = masses.all();
    WEFT_NO_UNROLL
    for (int s = 0; s < kSeekers - 1; ++s) {
      const bool by_count = s == 0;
      if (by_count ? !cuts_k() : !cuts_p()) continue;
      const uint64_t target = by_count ? last_of_k() : last_of_p(*kept);
      if (in_turn) narrow(s, target, by_count);
      *kept = Min()(*kept, mass_to(spans()[s], target, by_count));
    }
    *kept = Min()(*kept, masses.from_min_p());
    const uint64_t target = drawn_of(*kept);
    if (in_turn) narrow(kSeekers - 1, target, false);
    return drawn_id(spans()[kSeekers - 1], target);
  }

  WEFT_SIMT int draw(uint64_t* kept) {
    ranking.start(all_keys());
    sum_masses(row, a.min_p, [&](uint32_t key) { ranking.add(key); });
    ranking.finish();
    uint32_t candidates = find_spans();
    if (candidates > kCandidates) {
      ranking.start_parts(spans());
      for_keys([&](uint32_t key) { ranking.add_part(key); });
      ranking.finish_parts();
      candidates = find_spans();
    }
    const bool in_turn = candidates > kCandidates;
    if (!in_turn) gather();
    return follow(in_turn, kept);
  }
};

/// kernels::KernelTable::sample on the block's row.
template <class Block>
WEFT_SIMT kernels::SampleResult draw_row(Block& block, const kernels::SampleArgs& a) {
  const auto size = static_cast<int>(a.size);
  const Extremes extremes = row_extremes(block, a.logits, size);
  const float top = extremes.top;
  if (top != top || top == INFINITY || top == -INFINITY) return {-1, 0, 0};
  const bool greedy = a.temperature == 0;
  const Row<Block> row{block, a.logits,        size,
                       top,   extremes.lowest, greedy ? 1.0f : 1.0f / a.temperature};
  const bool cut = !greedy && (a.top_k > 0 || a.top_p < 1 || a.min_p > 0);
  const Masses<Block> masses{block};
  uint64_t kept = 0;
  int id = 0;
  if (cut) {
    Search<Block> search{row, a, {block}, masses};
    id = search.draw(&kept);
  } else {
    sum_masses(row, 0, [](uint32_t) {});
    kept = masses.all();
    const uint64_t target = greedy ? 0 : mass_share(a.uniform, kept, kept - 1);
    id = find_in_order(row, 0, size, target, [&](float logit) -> uint64_t {
      if (greedy) return logit == top ? 1 : 0;
      return mass_of(row.weight_of(logit));
    });
  }
  const float logit = row.logit(id);
  const float logprob = logit - (top + static_cast<float>(log(mass_value(masses.raw()))));
  if (greedy) return {id, logprob, 0.0f};
  if (!cut && a.temperature == 1) return {id, logprob, logprob};
  const float drawn_from = static_cast<float>(log(mass_value(kept)));
  return {id, logprob, (logit - top) * row.inverse_temperature - drawn_from};
}

/// One block a row.
template <class Block>
WEFT_SIMT void sample_body(Block& block, const SampleRows& a) {
  const kernels::SampleResult result = draw_row(block, a.args[block.x()]);
  if (block.thread() == 0) a.results[block.x()] = result;
}

}  // namespace weft::cuda
