/// One line per (method, task, sample), written as soon as it is known: what reports are made from
/// and what an interrupted evaluation goes on from.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "data/outcome_kind.h"

namespace weft {

struct ResultRow {
  std::string method, task;
  int sample = 0;
  OutcomeKind status = OutcomeKind::kInfrastructure;
  double score = 0;      ///< by the run's rule, in [0, 1]; meaningless for kInfrastructure
  double pass_rate = 0;  ///< share of hidden tests passed, NaN without any; or the scorer's value
  int passed = 0, declared = 0;       ///< of the tests that decide the score
  std::string rule;                   ///< by which an answer without tests was scored
  std::optional<double> exact_match;  ///< of an answer to a qa task, 0 or 1
  int64_t worker_tokens = 0;          ///< prompts and responses of every call
  int64_t meta_tokens = 0;            ///< prompt and completion of the meta-agent
  int calls = 0;
  double usd = 0;
  int64_t wall_ms = 0;
  int64_t clock_decisions = 0;  ///< WorkflowUsage::clock_decisions
  std::string
      origin;  ///< "meta", "pool", "fixed", "samples", or for a shuffled row the query it was for
  std::string workflow;     ///< Python text that ran, or would have
  std::string reasoning;    ///< meta-agent's, before the code
  std::string fingerprint;  ///< hash of the AST; empty when it does not parse
  std::string answer;
  std::string error;  ///< one line
};

Json to_json(const ResultRow& row);

/// Throws InputError naming `where`.
ResultRow parse_row(const Json& json, const std::string& where);

/// Finished rows of a results file, none if it is absent; a line that a crash cut short is left
/// out, as are infrastructure errors, which are to be tried again. Throws InputError on a bad line.
std::vector<ResultRow> load_finished_rows(const std::filesystem::path& path);

}  // namespace weft
