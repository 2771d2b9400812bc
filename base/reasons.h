/// Why things failed, counted, for reports and for the one line with which a run ends that did
/// nothing.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "base/json.h"

namespace weft {

/// The kind of failure that an error text tells of: its first line without places ("(line 3)"),
/// without what was got in place of what was expected, without a leading size; at most 120 bytes.
/// A text that says "(cut at LIMIT)" is "cut at LIMIT", whatever else the cut broke.
std::string reason_of(const std::string& error);

/// How often each reason came.
class ReasonCounts {
 public:
  void add(const std::string& error, int64_t count = 1) { counts_[reason_of(error)] += count; }
  bool empty() const { return counts_.empty(); }

  /// {reason: count}, the most frequent first; those beyond `most` are counted together as
  /// "other reasons".
  Json to_json(size_t most = 8) const;

  /// "20 x cut at the limit, 12 x no class Workflow".
  std::string to_string(size_t most = 4) const;

 private:
  std::map<std::string, int64_t> counts_;
};

}  // namespace weft
