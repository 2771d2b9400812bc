#include "trainer/evaluate/results.h"

#include <limits>
#include <utility>

#include "base/error.h"
#include "base/jsonl.h"

namespace weft {

Json to_json(const ResultRow& row) {
  Json json = {{"method", row.method},
               {"task", row.task},
               {"sample", row.sample},
               {"status", outcome_name(row.status)},
               {"score", row.score},
               {"pass_rate", row.pass_rate},
               {"passed", row.passed},
               {"declared", row.declared},
               {"worker_tokens", row.worker_tokens},
               {"meta_tokens", row.meta_tokens},
               {"calls", row.calls},
               {"usd", row.usd},
               {"wall_ms", row.wall_ms},
               {"clock_decisions", row.clock_decisions},
               {"origin", row.origin},
               {"fingerprint", row.fingerprint},
               {"error", row.error},
               {"answer", row.answer},
               {"reasoning", row.reasoning},
               {"workflow", row.workflow}};
  if (!row.rule.empty()) json["rule"] = row.rule;
  if (row.exact_match) json["exact_match"] = *row.exact_match;
  return json;
}

ResultRow parse_row(const Json& json, const std::string& where) {
  ResultRow row;
  row.method = get_field<std::string>(json, "method", where);
  row.task = get_field<std::string>(json, "task", where);
  row.sample = get_field<int>(json, "sample", where);
  row.status = parse_outcome(get_field<std::string>(json, "status", where), where + ": status");
  row.score = get_field<double>(json, "score", where);
  row.pass_rate = get_field_or(json, "pass_rate", std::numeric_limits<double>::quiet_NaN(), where);
  row.passed = get_field<int>(json, "passed", where);
  row.declared = get_field<int>(json, "declared", where);
  row.rule = get_field_or<std::string>(json, "rule", "", where);
  if (json.contains("exact_match")) row.exact_match = get_field<double>(json, "exact_match", where);
  row.worker_tokens = get_field<int64_t>(json, "worker_tokens", where);
  row.meta_tokens = get_field<int64_t>(json, "meta_tokens", where);
  row.calls = get_field<int>(json, "calls", where);
  row.usd = get_field<double>(json, "usd", where);
  row.wall_ms = get_field<int64_t>(json, "wall_ms", where);
  row.clock_decisions = get_field_or<int64_t>(json, "clock_decisions", 0, where);
  row.origin = get_field<std::string>(json, "origin", where);
  row.fingerprint = get_field<std::string>(json, "fingerprint", where);
  row.error = get_field<std::string>(json, "error", where);
  row.answer = get_field<std::string>(json, "answer", where);
  row.reasoning = get_field<std::string>(json, "reasoning", where);
  row.workflow = get_field<std::string>(json, "workflow", where);
  return row;
}

std::vector<ResultRow> load_finished_rows(const std::filesystem::path& path) {
  std::vector<ResultRow> rows;
  if (!std::filesystem::exists(path)) return rows;
  move_partial_line_aside(path);
  JsonlReader reader(path);
  JsonlLine line;
  while (reader.next(line)) {
    if (!line.error.empty()) throw InputError(line.error);
    ResultRow row = parse_row(line.value, reader.where(line));
    if (row.status != OutcomeKind::kInfrastructure) rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace weft
