/// What the sampling kernel does with a row of logits: read it, sum up its weights, find an id in
/// the order of ids.
#pragma once

#include "model/ops/cuda/sample_ranking.h"
#include "model/ops/cuda/simt.h"

namespace weft::cuda {

/// A row of logits and the block that works on it. Every function is called by all threads of the
/// block and gives all of them the same value.
template <class Block>
struct Row {
  Block& block;
  const float* logits;
  int size;
  float top, lowest;  ///< greatest logit, least one but -inf
  float inverse_temperature;

  WEFT_SIMT auto scratch() const { return block.template shared<uint64_t>(0); }
  WEFT_SIMT float logit(int i) const { return block.load(logits + i); }
  WEFT_SIMT float weight_of(float logit) const { return expf((logit - top) * inverse_temperature); }
  WEFT_SIMT uint32_t key_of(float logit) const { return float_to_bits(weight_of(logit)); }
};

/// Calls f(logit, id) for this thread's share of a row, with several loads on their way at a time.
template <class Block, class F>
WEFT_SIMT void for_share(Block& block, const float* logits, int size, F f) {
  constexpr int kLoads = 8;
  const int step = block.size();
  int i = block.thread();
  for (; i + (kLoads - 1) * step < size; i += kLoads * step) {
    float values[kLoads];
    WEFT_UNROLL
    for (int j = 0; j < kLoads; ++j) values[j] = block.load(logits + i + j * step);
    WEFT_UNROLL
    for (int j = 0; j < kLoads; ++j) f(values[j], i + j * step);
  }
  for (; i < size; i += step) f(block.load(logits + i), i);
}

/// The greatest logit, NaN if any is NaN, and the least one but -inf.
struct Extremes {
  float top, lowest;
};

template <class Block>
WEFT_SIMT Extremes row_extremes(Block& block, const float* logits, int size) {
  float values[3] = {-INFINITY, -INFINITY, 0};  // greatest, of the negated ones, whether NaN
  for_share(block, logits, size, [&](float logit, int) {
    values[0] = Max()(values[0], logit);
    if (logit > -INFINITY) values[1] = Max()(values[1], -logit);
    if (logit != logit) values[2] = 1;
  });
  reduce_block(block, values, block.template shared<float>(0), Max());
  return {values[2] > 0 ? NAN : values[0], -values[1]};
}

/// First id of [begin, end) at which the sum of measure(logit) over those so far exceeds `target`,
/// which is below the sum over all. Reads them once, and again a warp's share of them, of that a
/// share again.
template <class Block, class Measure>
WEFT_SIMT int find_in_order(const Row<Block>& row, int begin, int end, uint64_t target,
                            Measure measure) {
  Block& block = row.block;
  const int warps = block.size() / kWarp, lane = block.thread() % kWarp;
  const int warp = block.thread() / kWarp;
  const auto scratch = row.scratch();
  do {
    const int share = ((end - begin + warps - 1) / warps + kWarp - 1) / kWarp * kWarp;
    const int first = begin + warp * share, last = first + share < end ? first + share : end;
    uint64_t sum = 0;
    for (int i = first + lane; i < last; i += kWarp) sum += measure(row.logit(i));
    sum = reduce_warp(block, sum, Add());
    if (lane == 0) scratch[warp] = sum;
    block.sync();
    int holder = 0;
    while (holder + 1 < warps && scratch[holder] <= target) target -= scratch[holder++];
    block.sync();
    begin += holder * share;
    end = begin + share < end ? begin + share : end;
  } while (end - begin > kWarp);
  const uint64_t own = begin + lane < end ? measure(row.logit(begin + lane)) : 0;
  uint64_t through = own;
  for (int step = 1; step < kWarp; step *= 2) {
    const uint64_t other = block.shuffle(through, lane < step ? lane : lane - step);
    if (lane >= step) through += other;
  }
  const int found = through > target && through - own <= target ? begin + lane : 0;
  return reduce_warp(block, found, Max());
}

/// Sorts the first `count` of at least as many places as the next power of two.
template <class Block, class List>
WEFT_SIMT void sort_ascending(Block& block, List list, int count) {
  int size = 1;
  while (size < count) size *= 2;
  for (int i = count + block.thread(); i < size; i += block.size()) list[i] = ~uint64_t{0};
  block.sync();
  for (int length = 2; length <= size; length *= 2) {
    for (int step = length / 2; step > 0; step /= 2) {
      for (int i = block.thread(); i < size / 2; i += block.size()) {
        const int low = (i & ~(step - 1)) * 2 + (i & (step - 1)), high = low + step;
        const uint64_t x = list[low], y = list[high];
        if ((x > y) == ((low & length) == 0)) {
          list[low] = y;
          list[high] = x;
        }
      }
      block.sync();
    }
  }
}

/// Masses of a row, which the block keeps in shared memory.
template <class Block>
struct Masses {
  Block& block;

  WEFT_SIMT auto at() const { return block.template shared<uint64_t>(kTotalsAt); }
  WEFT_SIMT uint64_t raw() const { return at()[0]; }         ///< at temperature 1
  WEFT_SIMT uint64_t all() const { return at()[1]; }         ///< at the row's temperature
  WEFT_SIMT uint64_t from_min_p() const { return at()[2]; }  ///< of weights of at least min_p
};

/// Key of a weight that is asked for.
WEFT_SIMT uint32_t key_at_most_one(float weight) {
  return weight < 1 ? float_to_bits(weight > 0 ? weight : 0.0f) : kOneKey;
}

/// Also calls add(key) for each id.
template <class Block, class AddKey>
WEFT_SIMT void sum_masses(const Row<Block>& row, float min_p, AddKey add) {
  const uint32_t min_key = key_at_most_one(min_p);
  const bool untempered = row.inverse_temperature == 1;
  uint64_t sums[3] = {0, 0, 0};
  for_share(row.block, row.logits, row.size, [&](float logit, int) {
    const float weight = row.weight_of(logit);
    const uint32_t key = float_to_bits(weight);
    const uint64_t mass = mass_of(weight);
    if (!untempered) sums[0] += mass_of(expf(logit - row.top));
    sums[1] += mass;
    if (key >= min_key) sums[2] += mass;
    add(key);
  });
  reduce_block(row.block, sums, row.scratch(), Add());
  if (row.block.thread() == 0) {
    const auto masses = Masses<Block>{row.block}.at();
    masses[0] = untempered ? sums[1] : sums[0];
    masses[1] = sums[1];
    masses[2] = sums[2];
  }
  row.block.sync();
}

}  // namespace weft::cuda
