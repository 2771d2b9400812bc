/// Body of the sampling kernel: one block draws from one row of logits, without sorting it.
///
/// Masses are 64-bit fixed point, so that their sums do not depend on the order of addition: a
/// weight e^((logit - top) / temperature) in [0, 1] becomes a multiple of 2^-40, and less than
/// that counts as nothing. Ids rank by weight, equal ones by id, as the CPU's sorted candidates.
#pragma once

#include "model/device/cuda/cuda_library.h"
#include "model/device/cuda/simt.h"

namespace weft::cuda {

constexpr float kMassUnits = 0x1p40f;
constexpr int kPivots = 3;

/// Bytes of shared memory that sample_body needs.
constexpr int64_t kSampleShared = kWarp * 2 * kPivots * sizeof(uint64_t);

WEFT_SIMT uint64_t mass_of(float weight) { return static_cast<uint64_t>(weight * kMassUnits); }
WEFT_SIMT double mass_value(uint64_t mass) { return static_cast<double>(mass) / kMassUnits; }

/// `share` of a mass, at most `limit`.
WEFT_SIMT uint64_t mass_share(double share, uint64_t mass, uint64_t limit) {
  const double target = share * static_cast<double>(mass);
  const uint64_t units = static_cast<uint64_t>(target);
  return units < limit ? units : limit;
}

/// A row of logits and the block that works on it. Every function is called by all threads of the
/// block and gives all of them the same value.
template <class Block>
struct Row {
  Block& block;
  const float* logits;
  int64_t size;
  float top;
  float inverse_temperature;

  WEFT_SIMT auto scratch() const { return block.template shared<uint64_t>(0); }
  WEFT_SIMT float weight_of(float logit) const { return expf((logit - top) * inverse_temperature); }
  WEFT_SIMT float weight(int64_t i) const { return weight_of(logits[i]); }
  WEFT_SIMT uint32_t key(int64_t i) const { return float_to_bits(weight(i)); }
};

/// Calls f(logit) for this thread's share of a row, with several loads on their way at a time.
template <class Block, class F>
WEFT_SIMT void for_share(Block& block, const float* logits, int64_t size, F f) {
  constexpr int kLoads = 8;
  const int64_t step = block.size();
  int64_t i = block.thread();
  for (; i + (kLoads - 1) * step < size; i += kLoads * step) {
    float values[kLoads];
    WEFT_UNROLL
    for (int j = 0; j < kLoads; ++j) values[j] = logits[i + j * step];
    WEFT_UNROLL
    for (int j = 0; j < kLoads; ++j) f(values[j]);
  }
  for (; i < size; i += step) f(logits[i]);
}

/// Greatest logit, NaN if any is NaN.
template <class Block>
WEFT_SIMT float row_top(Block& block, const float* logits, int64_t size) {
  float value[2] = {-INFINITY, 0};
  for_share(block, logits, size, [&](float logit) {
    value[0] = Max()(value[0], logit);
    if (logit != logit) value[1] = 1;
  });
  reduce_block(block, value, block.template shared<float>(0), Max());
  return value[1] > 0 ? NAN : value[0];
}

template <class Block>
WEFT_SIMT uint64_t row_mass(const Row<Block>& row) {
  uint64_t mass[1] = {0};
  for_share(row.block, row.logits, row.size,
            [&](float logit) { mass[0] += mass_of(row.weight_of(logit)); });
  reduce_block(row.block, mass, row.scratch(), Add());
  return mass[0];
}

/// First id at which the sum of measure(id) over the ids so far exceeds `target`, which is below
/// the sum over all.
template <class Block, class Measure>
WEFT_SIMT int64_t find_in_order(const Row<Block>& row, uint64_t target, Measure measure) {
  Block& block = row.block;
  const int warps = block.size() / kWarp, lane = block.thread() % kWarp;
  const int warp = block.thread() / kWarp;
  const int64_t share = (row.size + block.size() - 1) / block.size() * kWarp;  // of each warp
  const int64_t begin = warp * share;
  const int64_t end = begin + share < row.size ? begin + share : row.size;
  uint64_t sum = 0;
  for (int64_t i = begin + lane; i < end; i += kWarp) sum += measure(i);
  sum = reduce_warp(block, sum, Add());
  const auto scratch = row.scratch();
  if (lane == 0) scratch[warp] = sum;
  block.sync();
  uint64_t before = 0;
  int holder = 0;
  while (holder + 1 < warps && before + scratch[holder] <= target) before += scratch[holder++];
  block.sync();
  if (warp == holder) {
    for (int64_t i = begin; i < end; i += kWarp) {
      const uint64_t own = i + lane < end ? measure(i + lane) : 0;
      uint64_t through = own;  // of the lanes up to this one
      for (int step = 1; step < kWarp; step *= 2) {
        const uint64_t other = block.shuffle(through, lane < step ? lane : lane - step);
        if (lane >= step) through += other;
      }
      const uint64_t all = block.shuffle(through, kWarp - 1);
      if (before + through > target && before + through - own <= target) {
        scratch[0] = static_cast<uint64_t>(i + lane);
      }
      before += all;
      if (before > target) break;
    }
  }
  block.sync();
  const auto found = static_cast<int64_t>(static_cast<uint64_t>(scratch[0]));
  block.sync();
  return found;
}

/// Place in the ranking: a weight's bits, and what all greater weights come to.
struct Place {
  uint32_t key;
  uint64_t mass_before, count_before;
};

/// Bits of the greatest weight below `high`.
template <class Block>
WEFT_SIMT uint32_t greatest_below(const Row<Block>& row, uint32_t high) {
  uint32_t key[1] = {0};
  for_share(row.block, row.logits, row.size, [&](float logit) {
    const uint32_t own = float_to_bits(row.weight_of(logit));
    if (own < high) key[0] = Max()(key[0], own);
  });
  reduce_block(row.block, key, row.block.template shared<uint32_t>(0), Max());
  return key[0];
}

/// The weight at which the ranking's mass (or its number of ids) first exceeds `target`, which is
/// below that of the whole row. The bits of weights order as the weights do.
template <class Block>
WEFT_SIMT Place find_in_ranking(const Row<Block>& row, uint64_t target, bool by_count) {
  uint32_t low = 0, high = float_to_bits(1.0f) + 1;
  uint64_t count_from_low = static_cast<uint64_t>(row.size);
  Place place{0, 0, 0};
  while (high - low > 1) {
    const uint32_t step = (high - low + kPivots) / (kPivots + 1);
    uint64_t sums[2 * kPivots] = {};
    for_share(row.block, row.logits, row.size, [&](float logit) {
      const float weight = row.weight_of(logit);
      const uint32_t key = float_to_bits(weight);
      WEFT_UNROLL
      for (int p = 0; p < kPivots; ++p) {
        const bool above = key >= low + (p + 1) * step;
        sums[2 * p] += above ? mass_of(weight) : 0;
        sums[2 * p + 1] += above;
      }
    });
    reduce_block(row.block, sums, row.scratch(), Add());
    const uint32_t base = low;
    for (int p = 0; p < kPivots; ++p) {
      const uint32_t pivot = base + (p + 1) * step;
      if (pivot >= high) break;
      if (sums[2 * p + (by_count ? 1 : 0)] > target) {
        low = pivot;
        count_from_low = sums[2 * p + 1];
        continue;
      }
      high = pivot;
      place.mass_before = sums[2 * p];
      place.count_before = sums[2 * p + 1];
    }
    if (count_from_low - place.count_before == 1) {
      place.key = greatest_below(row, high);
      return place;
    }
  }
  place.key = low;
  return place;
}

/// Mass of the ids whose weight's bits are at least `key`.
template <class Block>
WEFT_SIMT uint64_t mass_from(const Row<Block>& row, uint32_t key) {
  uint64_t mass[1] = {0};
  for_share(row.block, row.logits, row.size, [&](float logit) {
    const float weight = row.weight_of(logit);
    if (float_to_bits(weight) >= key) mass[0] += mass_of(weight);
  });
  reduce_block(row.block, mass, row.scratch(), Add());
  return mass[0];
}

/// Mass of what top_k, top_p and min_p keep, a prefix of the ranking.
template <class Block>
WEFT_SIMT uint64_t kept_mass(const Row<Block>& row, const kernels::SampleArgs& a, uint64_t all) {
  uint64_t kept = all;
  uint32_t key = 0;
  if (a.top_k > 0 && a.top_k < row.size) {
    const auto last = static_cast<uint64_t>(a.top_k - 1);
    const Place place = find_in_ranking(row, last, /*by_count=*/true);
    kept = place.mass_before + (last - place.count_before + 1) * mass_of(bits_to_float(place.key));
    key = place.key;
  }
  if (a.top_p < 1) {
    const double wanted = ceil(static_cast<double>(a.top_p) * static_cast<double>(kept));
    const uint64_t last = mass_share(1.0, static_cast<uint64_t>(wanted > 1 ? wanted : 1), kept) - 1;
    const Place place = find_in_ranking(row, last, /*by_count=*/false);
    const uint64_t each = mass_of(bits_to_float(place.key));
    kept = place.mass_before + ((last - place.mass_before) / each + 1) * each;
    key = place.key;
  }
  const uint32_t lowest = float_to_bits(a.min_p > 0 ? a.min_p : 0.0f);
  return lowest > key ? mass_from(row, lowest) : kept;
}

/// Draws from the cut ranking and gives the mass drawn from.
template <class Block>
WEFT_SIMT int64_t draw_ranked(const Row<Block>& row, const kernels::SampleArgs& a, uint64_t all,
                              uint64_t* kept) {
  *kept = kept_mass(row, a, all);
  const uint64_t target = mass_share(a.uniform, *kept, *kept - 1);
  const Place place = find_in_ranking(row, target, /*by_count=*/false);
  const uint64_t among =
      (target - place.mass_before) / mass_of(bits_to_float(place.key));  // equal weights
  return find_in_order(row, among,
                       [&](int64_t i) -> uint64_t { return row.key(i) == place.key ? 1 : 0; });
}

/// kernels::KernelTable::sample on the block's row.
template <class Block>
WEFT_SIMT kernels::SampleResult draw_row(Block& block, const kernels::SampleArgs& a) {
  const float top = row_top(block, a.logits, a.size);
  if (top != top || top == INFINITY || top == -INFINITY) return {-1, 0, 0};
  Row<Block> row{block, a.logits, a.size, top, 1.0f};
  const uint64_t raw = row_mass(row);
  const float lse = top + static_cast<float>(log(mass_value(raw)));
  if (a.temperature == 0) {
    const int64_t id =
        find_in_order(row, 0, [&](int64_t i) -> uint64_t { return a.logits[i] == top ? 1 : 0; });
    return {id, top - lse, 0.0f};
  }
  row.inverse_temperature = 1.0f / a.temperature;
  const uint64_t all = a.temperature == 1 ? raw : row_mass(row);
  uint64_t kept = all;
  int64_t id = 0;
  if (a.top_k <= 0 && a.top_p >= 1 && a.min_p <= 0) {
    id = find_in_order(row, mass_share(a.uniform, all, all - 1),
                       [&](int64_t i) -> uint64_t { return mass_of(row.weight(i)); });
    if (a.temperature == 1) return {id, a.logits[id] - lse, a.logits[id] - lse};
  } else {
    id = draw_ranked(row, a, all, &kept);
  }
  const float tempered =
      (a.logits[id] - top) * row.inverse_temperature - static_cast<float>(log(mass_value(kept)));
  return {id, a.logits[id] - lse, tempered};
}

/// One block a row.
template <class Block>
WEFT_SIMT void sample_body(Block& block, const SampleRows& a) {
  const kernels::SampleResult result = draw_row(block, a.args[block.x()]);
  if (block.thread() == 0) a.results[block.x()] = result;
}

}  // namespace weft::cuda
