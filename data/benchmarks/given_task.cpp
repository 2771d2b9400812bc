#include <set>

#include "data/benchmarks/benchmark.h"

namespace weft {
namespace {

// What a test runs an answer on.
std::string input_of(const Json& test) {
  for (const char* key : {"input", "args"}) {
    if (test.contains(key)) return dump_json(test[key]);
  }
  return dump_json(test);
}

std::vector<Json> distinct(const std::vector<Json>& tests, std::set<std::string>& seen) {
  std::vector<Json> kept;
  for (const auto& test : tests) {
    if (seen.insert(input_of(test)).second) kept.push_back(test);
  }
  return kept;
}

Json split_given(const BenchmarkRow& row) {
  std::set<std::string> seen;
  std::vector<Json> shown = distinct(row.shown, seen), rest = distinct(row.tests, seen);
  std::vector<Json> official = shown;
  official.insert(official.end(), rest.begin(), rest.end());
  if (shown.empty() && rest.size() > 1) {
    shown.push_back(rest.front());
    rest.erase(rest.begin());
  }
  std::vector<Json> val, hidden;
  for (size_t i = 0; i < rest.size(); ++i) (i % 2 == 0 ? val : hidden).push_back(rest[i]);
  return {{"public", shown}, {"val", val}, {"hidden", hidden}, {"official", official}};
}

}  // namespace

Json given_task(const std::string& dataset, const BenchmarkRow& row) {
  Json task{
      {"id", row.id}, {"dataset", dataset}, {"kind", to_string(row.kind)}, {"prompt", row.prompt}};
  if (row.kind == TaskKind::kCode) {
    if (!row.entry_point.empty()) task["entry_point"] = row.entry_point;
    task["tests"] = split_given(row);
    if (!row.setup.empty()) task["setup"] = row.setup;
    if (!row.checker.empty()) task["checker"] = row.checker;
  } else {
    task["answer"] = row.answer;
  }
  if (!row.meta.empty()) task["meta"] = row.meta;
  return task;
}

}  // namespace weft
