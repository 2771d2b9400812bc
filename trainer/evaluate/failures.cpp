#include "trainer/evaluate/failures.h"

#include <fmt/format.h>

#include <map>

#include "base/error.h"
#include "base/log.h"
#include "base/reasons.h"

namespace weft {

namespace {

/// Whether a run says something about its method: the models that it asked answered.
bool is_evaluated(const ResultRow& row) {
  if (row.status == OutcomeKind::kScored) return true;
  if (row.status == OutcomeKind::kInfrastructure) return false;
  if (row.status == OutcomeKind::kInvalid) return row.meta_tokens > 0 || row.origin == "pool";
  return row.calls == 0 || row.worker_tokens > 0;
}

struct Tally {
  bool evaluated = false, scored = false;
  ReasonCounts reasons;

  void add(const ResultRow& row) {
    evaluated = evaluated || is_evaluated(row);
    scored = scored || row.status == OutcomeKind::kScored;
    if (row.status != OutcomeKind::kScored) reasons.add(row.error);
  }
};

}  // namespace

void require_scored_rows(const std::vector<Method>& methods, const std::vector<ResultRow>& rows) {
  std::map<std::string, Tally> tallies;
  bool any_scored = false;
  for (const ResultRow& row : rows) {
    tallies[row.method].add(row);
    any_scored = any_scored || row.status == OutcomeKind::kScored;
  }
  std::string failed;
  for (const Method& method : methods) {
    const Tally& tally = tallies[method.name];
    if (tally.scored) continue;
    const std::string line = fmt::format("{} ({})", method.name, tally.reasons.to_string());
    if (any_scored && tally.evaluated) {
      log::warn("no answer of {} could be scored, its score is 0", line);
    } else {
      failed += (failed.empty() ? "" : ", ") + line;
    }
  }
  if (!failed.empty()) throw Error("evaluate: nothing was scored of " + failed);
}

}  // namespace weft
