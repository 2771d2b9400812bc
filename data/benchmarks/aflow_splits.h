/// The validation splits of AFlow (arXiv:2410.10762, released data), by which it, MaAS, ScoreFlow
/// and FlowReasoner search; the test split is the rest.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

namespace weft {

struct AflowSplit {
  std::span<const uint64_t> validation;  ///< hash64 of BenchmarkRow::split_key, sorted
  int64_t rows;  ///< of both splits together; 0: which rows the test split has is not known

  /// Whether the row with that key is one of validation.
  bool has(const std::string& key) const;
};

/// None for a data set that AFlow has no split of.
std::optional<AflowSplit> aflow_split(const std::string& dataset);

}  // namespace weft
