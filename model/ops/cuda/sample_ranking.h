/// How the sampling kernel finds places in the ranking of a row's ids without sorting them: by
/// histograms that say how much mass and how many ids rank above a weight.
///
/// Masses are 64-bit fixed point, so that their sums do not depend on the order of addition: a
/// weight e^((logit - top) / temperature) in [0, 1] becomes a multiple of 2^-40, and less than
/// that counts as nothing. Ids rank by weight, equal ones by id, as the CPU's sorted candidates; a
/// weight's bits, its key, order as the weights do.
#pragma once

#include "model/ops/cuda/simt.h"

namespace weft::cuda {

constexpr float kMassUnits = 0x1p40f;
constexpr uint32_t kLowestKey = 0x2b800000;  ///< of 2^-40
constexpr uint32_t kOneKey = 0x3f800000;     ///< of 1, the greatest weight

/// The ids whose keys are in [low, high): how much ranks above them, and with them.
struct Span {
  uint32_t low = 0, high = 0;
  uint64_t mass_above = 0, mass_through = 0;
  uint32_t count_above = 0, count_through = 0;

  WEFT_SIMT bool empty() const { return low == high; }
  WEFT_SIMT bool one_key() const { return high - low == 1; }
  WEFT_SIMT bool holds(uint32_t key) const { return key >= low && key < high; }
  WEFT_SIMT uint32_t ids() const { return count_through - count_above; }
};

constexpr int kBuckets = 1281;  ///< at most 2^18 keys each for all keys from kLowestKey on
constexpr int kSlots = 1536;    ///< parts of the buckets that are divided
constexpr int kMarkWords = (kBuckets + 31) / 32;
constexpr int kCandidates = 2048;  ///< ids that are sorted at most; a power of two
constexpr int kChunks = 512;       ///< of a row, at most

/// What is looked for, in this order, as each target depends on the place before: the ends of what
/// top_k and top_p keep, and the drawn id.
constexpr int kSeekers = 3;

/// What the sampling kernel's shared memory holds: partial sums of the warps, where the places lie,
/// masses of the row, results of a search, the divided buckets, a histogram of buckets, and one of
/// their parts, or in its place the sorted candidates, their number and what the chunks hold of a
/// weight.
constexpr int64_t kSpansAt = kWarp * 4 * sizeof(uint64_t);
constexpr int64_t kTotalsAt = kSpansAt + kSeekers * sizeof(Span);
constexpr int64_t kResultAt = kTotalsAt + 3 * sizeof(uint64_t);
constexpr int64_t kMarksAt = kResultAt + 2 * sizeof(uint64_t);
constexpr int64_t kMassesAt = kMarksAt + (2 * kMarkWords + 2) * sizeof(uint32_t);
constexpr int64_t kCountsAt = kMassesAt + (kBuckets + 1) * sizeof(uint64_t);
constexpr int64_t kSlotMassesAt = kCountsAt + (kBuckets + 1) * sizeof(uint32_t);
constexpr int64_t kSlotCountsAt = kSlotMassesAt + (kSlots + 1) * sizeof(uint64_t);
constexpr int64_t kSlotKeysAt = kSlotCountsAt + (kSlots + 1) * sizeof(uint32_t);
constexpr int64_t kListAt = kSlotMassesAt;
constexpr int64_t kCounterAt = kListAt + kCandidates * sizeof(uint64_t);
constexpr int64_t kChunksAt = kCounterAt + sizeof(uint32_t);
constexpr int64_t kSampleShared = kSlotKeysAt + 2 * kSlots * sizeof(uint32_t);
static_assert(kSpansAt % sizeof(Span) == 0);
static_assert(kMassesAt % sizeof(uint64_t) == 0 && kSlotMassesAt % sizeof(uint64_t) == 0);
static_assert(kChunksAt + (kChunks + 1) * sizeof(uint32_t) <= kSampleShared);
static_assert(kSampleShared <= 48 * 1024, "what a launch gives without being asked for more");

WEFT_SIMT uint64_t mass_of(float weight) { return static_cast<uint64_t>(weight * kMassUnits); }
WEFT_SIMT uint64_t mass_of_key(uint32_t key) { return mass_of(bits_to_float(key)); }
WEFT_SIMT double mass_value(uint64_t mass) { return static_cast<double>(mass) / kMassUnits; }

/// `share` of a mass, at most `limit`. Grows with the mass.
WEFT_SIMT uint64_t mass_share(double share, uint64_t mass, uint64_t limit) {
  const double target = share * static_cast<double>(mass);
  const uint64_t units = static_cast<uint64_t>(target);
  return units < limit ? units : limit;
}

/// values[i] becomes the sum over the threads before this one. `scratch`, a Shared<uint64_t>, holds
/// N of each warp and may be used again after the next barrier.
template <int N, class Block, class Scratch>
WEFT_SIMT void scan_block(Block& block, Scratch scratch, uint64_t (&values)[N]) {
  const int lane = block.thread() % kWarp, warp = block.thread() / kWarp;
  WEFT_UNROLL
  for (int i = 0; i < N; ++i) {
    const uint64_t own = values[i];
    for (int step = 1; step < kWarp; step *= 2) {
      const uint64_t other = block.shuffle(values[i], lane < step ? lane : lane - step);
      if (lane >= step) values[i] += other;
    }
    if (lane == kWarp - 1) scratch[warp * N + i] = values[i];
    values[i] -= own;
  }
  block.sync();
  WEFT_UNROLL
  for (int i = 0; i < N; ++i) {
    for (int w = 0; w < warp; ++w) values[i] += scratch[w * N + i];
  }
}

/// table[i], i <= size, becomes the sum of table[0], ..., table[i - 1], for each of the tables.
template <class Block, class... Tables>
WEFT_SIMT void sum_up(Block& block, int size, Tables... tables) {
  constexpr int kTables = sizeof...(Tables);
  const int share = (size + block.size() - 1) / block.size();
  const int begin = Min()(block.thread() * share, size), end = Min()(begin + share, size);
  uint64_t sums[kTables] = {};
  for (int i = begin; i < end; ++i) {
    int t = 0;
    ((sums[t++] += tables[i]), ...);
  }
  scan_block(block, block.template shared<uint64_t>(0), sums);
  const auto put = [](auto table, int i, uint64_t& sum) {
    const auto own = table[i] + 0u;
    table[i] = static_cast<decltype(own)>(sum);
    sum += own;
  };
  for (int i = begin; i < end; ++i) {
    int t = 0;
    (put(tables, i, sums[t++]), ...);
  }
  if (begin < size && end == size) {
    int t = 0;
    ((tables[size] = sums[t++]), ...);
  }
  block.sync();
}

/// Last i of [begin, end) with table[i] <= target; the table ascends, and table[begin] <= target.
template <class Table>
WEFT_SIMT int last_at_most(Table table, int begin, int end, uint64_t target) {
  while (end - begin > 1) {
    const int middle = (begin + end) / 2;
    (table[middle] <= target ? begin : end) = middle;
  }
  return begin;
}

/// A histogram of a range of keys in shared memory; buckets and their parts are numbered from the
/// greatest key on. Every function but add, add_part and at is called by all threads of the block.
template <class Block>
struct Histogram {
  Block& block;
  Span range{};        ///< its ends, and what ranks above it
  int shift = 0;       ///< a bucket has 2^shift keys
  int part_bits = -1;  ///< a divided one has 2^part_bits parts; -1: none is divided

  WEFT_SIMT auto masses() const { return block.template shared<uint64_t>(kMassesAt); }
  WEFT_SIMT auto counts() const { return block.template shared<uint32_t>(kCountsAt); }
  WEFT_SIMT auto slot_masses() const { return block.template shared<uint64_t>(kSlotMassesAt); }
  WEFT_SIMT auto slot_counts() const { return block.template shared<uint32_t>(kSlotCountsAt); }
  /// Greatest keys, then the complements of the least.
  WEFT_SIMT auto slot_keys() const { return block.template shared<uint32_t>(kSlotKeysAt); }
  WEFT_SIMT auto marks() const { return block.template shared<uint32_t>(kMarksAt); }
  WEFT_SIMT auto marked_before() const { return marks() + kMarkWords; }

  WEFT_SIMT int buckets() const {
    return static_cast<int>((range.high - range.low + (uint32_t{1} << shift) - 1) >> shift);
  }
  WEFT_SIMT uint32_t depth(uint32_t key) const { return range.high - 1 - key; }

  template <class T>
  WEFT_SIMT void clear(int64_t at, int size) const {
    for (int i = block.thread(); i < size; i += block.size()) block.template shared<T>(at)[i] = 0;
  }

  /// Begins an empty histogram of a span's keys.
  WEFT_SIMT void start(const Span& of) {
    block.sync();
    range = of;
    part_bits = -1;
    for (shift = 0; buckets() > kBuckets;) ++shift;
    clear<uint64_t>(kMassesAt, kBuckets + 1);
    clear<uint32_t>(kCountsAt, kBuckets + 1);
    block.sync();
  }

  /// Adds a mass as two words, so that each is one step.
  WEFT_SIMT void add_mass(int64_t at, int i, uint64_t mass) const {
    const auto words = block.template shared<uint32_t>(at) + 2 * i;
    const auto low = static_cast<uint32_t>(mass);
    const uint32_t before = block.add_shared(words, low);
    const uint32_t high =
        static_cast<uint32_t>(mass >> 32) + (static_cast<uint32_t>(before + low) < low ? 1 : 0);
    if (high > 0) block.add_shared(words + 1, high);
  }

  /// Counts an id, where its key is in the range.
  WEFT_SIMT void add(uint32_t key) const {
    if (!range.holds(key)) return;
    const int bucket = static_cast<int>(depth(key) >> shift);
    add_mass(kMassesAt, bucket, mass_of_key(key));
    block.add_shared(counts() + bucket, 1u);
  }

  WEFT_SIMT void finish() const {
    block.sync();
    sum_up(block, buckets(), masses(), counts());
  }

  /// First slot of a divided bucket; -1 of another.
  WEFT_SIMT int first_slot(int bucket) const {
    const uint32_t word = marks()[bucket / 32], bit = uint32_t{1} << bucket % 32;
    if ((word & bit) == 0) return -1;
    const uint32_t before = marked_before()[bucket / 32];
    return (static_cast<int>(before) + count_bits(word & (bit - 1))) << part_bits;
  }

  /// Begins an empty histogram of the parts of the spans' buckets, of those with several ids.
  template <class Spans>
  WEFT_SIMT void start_parts(Spans spans) {
    const int all = buckets();
    uint32_t lows[kSeekers], highs[kSeekers];
    WEFT_UNROLL
    for (int s = 0; s < kSeekers; ++s) {
      const Span span = spans[s];
      lows[s] = span.low;
      highs[s] = span.high;
    }
    for (int w = block.thread(); w < kMarkWords; w += block.size()) {
      uint32_t word = 0;
      for (int b = w * 32; b < w * 32 + 32 && b < all; ++b) {
        const uint32_t high = range.high - (static_cast<uint32_t>(b) << shift);  // modulo 2^32
        bool wanted = false;
        WEFT_UNROLL
        for (int s = 0; s < kSeekers; ++s) {
          wanted |= lows[s] < high && highs[s] + (uint32_t{1} << shift) > high;
        }
        if (wanted && counts()[b + 1] - counts()[b] > 1) word |= uint32_t{1} << b % 32;
      }
      marks()[w] = word;
    }
    block.sync();
    for (int w = block.thread(); w <= kMarkWords; w += block.size()) {
      int before = 0;
      for (int v = 0; v < w; ++v) before += count_bits(marks()[v]);
      marked_before()[w] = static_cast<uint32_t>(before);
    }
    block.sync();
    const int marked = static_cast<int>(static_cast<uint32_t>(marked_before()[kMarkWords]));
    for (part_bits = 0; part_bits < shift && marked << (part_bits + 1) <= kSlots;) ++part_bits;
    clear<uint64_t>(kSlotMassesAt, kSlots + 1);
    clear<uint32_t>(kSlotCountsAt, kSlots + 1);
    clear<uint32_t>(kSlotKeysAt, 2 * kSlots);
    block.sync();
  }

  /// Counts an id, where its key is in a divided bucket.
  WEFT_SIMT void add_part(uint32_t key) const {
    if (!range.holds(key)) return;
    const int first = first_slot(static_cast<int>(depth(key) >> shift));
    if (first < 0) return;
    const uint32_t inside = depth(key) & ((uint32_t{1} << shift) - 1);
    const int slot = first + static_cast<int>(inside >> (shift - part_bits));
    add_mass(kSlotMassesAt, slot, mass_of_key(key));
    block.add_shared(slot_counts() + slot, 1u);
    block.max_shared(slot_keys() + slot, key);
    block.max_shared(slot_keys() + (kSlots + slot), ~key);
  }

  WEFT_SIMT void finish_parts() const {
    block.sync();
    sum_up(block, kSlots, slot_masses(), slot_counts());
  }

  /// The bucket or part at which the mass (or the number of ids) first exceeds `target`, which is
  /// at least what ranks above the range. Empty if it lies below the range.
  WEFT_SIMT Span at(uint64_t target, bool by_count) const {
    target -= by_count ? range.count_above : range.mass_above;
    const int all = buckets();
    if (target >= (by_count ? static_cast<uint64_t>(counts()[all]) : masses()[all])) return {};
    const int b =
        by_count ? last_at_most(counts(), 0, all, target) : last_at_most(masses(), 0, all, target);
    Span found;
    found.high = range.high - (static_cast<uint32_t>(b) << shift);
    found.low = b + 1 == all ? range.low : found.high - (uint32_t{1} << shift);
    found.mass_above = range.mass_above + masses()[b];
    found.mass_through = range.mass_above + masses()[b + 1];
    found.count_above = range.count_above + counts()[b];
    found.count_through = range.count_above + counts()[b + 1];
    const int first = part_bits < 0 ? -1 : first_slot(b);
    if (first < 0) return found;
    target -= by_count ? static_cast<uint64_t>(counts()[b]) : masses()[b];
    const int end = first + (1 << part_bits);
    const int slot = by_count
                         ? last_at_most(slot_counts(), first, end, target + slot_counts()[first])
                         : last_at_most(slot_masses(), first, end, target + slot_masses()[first]);
    found.high = slot_keys()[slot] + 1;
    found.low = ~slot_keys()[kSlots + slot];
    found.mass_through = found.mass_above + slot_masses()[slot + 1] - slot_masses()[first];
    found.mass_above += slot_masses()[slot] - slot_masses()[first];
    found.count_through = found.count_above + slot_counts()[slot + 1] - slot_counts()[first];
    found.count_above += slot_counts()[slot] - slot_counts()[first];
    return found;
  }

  /// From the place of target `least` down to that of `most`.
  WEFT_SIMT Span between(uint64_t least, uint64_t most, bool by_count) const {
    Span found = at(least, by_count);
    if (most == least || found.empty()) return found;
    const Span end = at(most, by_count);
    found.low = end.low;
    found.mass_through = end.mass_through;
    found.count_through = end.count_through;
    return found;
  }
};

}  // namespace weft::cuda
