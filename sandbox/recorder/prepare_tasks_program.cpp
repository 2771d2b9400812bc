#include "sandbox/recorder/prepare_tasks_program.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <sstream>

#include "base/error.h"
#include "base/hash.h"
#include "base/jsonl.h"
#include "base/log.h"
#include "base/progress.h"
#include "base/stop.h"
#include "sandbox/judge/judge_program.h"

namespace weft {
namespace {

constexpr size_t kFewValTests = 5;

// Adds the tests of another field of the row; those on arguments that were there replace them.
void add_tests(Recording& whole, Recording part) {
  std::map<std::string, size_t> places;
  for (size_t i = 0; i < whole.inputs.size(); ++i) places.emplace(whole.inputs[i].identity, i);
  for (size_t i = 0; i < part.tests.size(); ++i) {
    const auto place = places.find(part.inputs[i].identity);
    if (place == places.end()) {
      whole.tests.push_back(std::move(part.tests[i]));
      whole.inputs.push_back(std::move(part.inputs[i]));
    } else {
      whole.tests[place->second] = std::move(part.tests[i]);
      whole.inputs[place->second] = std::move(part.inputs[i]);
    }
  }
  std::move(part.problems.begin(), part.problems.end(), std::back_inserter(whole.problems));
}

// Everything of a run that a row needs.
class Preparer {
 public:
  explicit Preparer(const PrepareTasksConfig& config)
      : config_(config),
        sandbox_(sandbox_options(config, 0)),
        judge_(sandbox_),
        recorder_(sandbox_, limits(config)) {
    if (config.augment == 0) return;
    other_sandbox_.emplace(sandbox_options(config, 1));
    other_judge_.emplace(*other_sandbox_);
  }

  // The task's line, or the reason why there is none.
  Json prepare(const BenchmarkRow& row, std::string& problem);

 private:
  static SandboxOptions sandbox_options(const PrepareTasksConfig& config, unsigned hash_seed) {
    SandboxOptions options;
    options.num_slots = 1;
    options.min_tier = config.min_tier;
    options.packages = config.packages;
    options.hash_seed = hash_seed;
    return options;
  }
  static Limits limits(const PrepareTasksConfig& config) {
    Limits limits;
    limits.cpu_ms = config.cpu_ms;
    limits.memory_mb = config.memory_mb;
    return limits;
  }
  Recording record(const BenchmarkRow& row) const;
  JudgeRequest request(const std::string& code, const std::string& entry_point,
                       const std::vector<Json>& tests) const;
  std::vector<Json> further_tests(const BenchmarkRow& row, const Recording& recording);

  const PrepareTasksConfig& config_;
  Sandbox sandbox_;
  Judge judge_;
  Recorder recorder_;
  std::optional<Sandbox> other_sandbox_;  // the order of its sets is another
  std::optional<Judge> other_judge_;
};

Recording Preparer::record(const BenchmarkRow& row) const {
  Recording whole;
  for (ReferenceTask reference : row.references) {
    if (reference.entry_point.empty()) reference.entry_point = whole.entry_point;
    Recording part = recorder_.record(reference);
    if (part.tests.empty() && part.problems.empty()) part.problems.push_back("no test in it");
    if (!part.entry_point.empty()) whole.entry_point = part.entry_point;
    if (whole.tests.empty()) {
      whole.tests = std::move(part.tests);
      whole.inputs = std::move(part.inputs);
      std::move(part.problems.begin(), part.problems.end(), std::back_inserter(whole.problems));
    } else {
      add_tests(whole, std::move(part));
    }
  }
  return whole;
}

JudgeRequest Preparer::request(const std::string& code, const std::string& entry_point,
                               const std::vector<Json>& tests) const {
  JudgeRequest request;
  request.code = code;
  request.entry_point = entry_point;
  request.tests = tests;
  request.limits = limits(config_);
  return request;
}

std::vector<Json> Preparer::further_tests(const BenchmarkRow& row, const Recording& recording) {
  const std::string& code = row.references[0].code;
  const uint64_t seed = hash_combine(hash64(row.id), static_cast<uint64_t>(config_.seed));
  const Recording further = recorder_.further_tests(
      recording, row.guarded_code.empty() ? code : row.guarded_code, config_.augment, seed);
  for (const auto& problem : further.problems)
    log::warn("{}: no further tests: {}", row.id, problem);
  if (further.tests.empty()) return {};
  const Verdict verdict = other_judge_->run(request(code, recording.entry_point, further.tests));
  std::vector<Json> kept;
  for (size_t i = 0; i < further.tests.size(); ++i) {
    if (verdict.tests[i].verdict == TestVerdict::kPass) kept.push_back(further.tests[i]);
  }
  return kept;
}

Json Preparer::prepare(const BenchmarkRow& row, std::string& problem) {
  const Recording recording = record(row);
  if (!recording.problems.empty()) {
    problem = "not every test of the row can be recorded: " + recording.problems.front();
    return {};
  }
  auto own = request(row.references[0].code, recording.entry_point, recording.tests);
  own.stop_at_first_failure = true;
  const Verdict verdict = judge_.run(own);
  if (verdict.passed != verdict.declared) {
    problem = "the reference does not pass its own tests: " + verdict.row_verdict();
    return {};
  }
  Json tests = split_tests(
      recording, config_.augment > 0 ? further_tests(row, recording) : std::vector<Json>{});
  tests["official"] = recording.tests;
  Json task{
      {"id", row.id},         {"dataset", config_.dataset},           {"kind", "code"},
      {"prompt", row.prompt}, {"entry_point", recording.entry_point}, {"tests", std::move(tests)}};
  if (!row.setup.empty()) task["setup"] = row.setup;
  return task;
}

bool expects_one_value(const std::vector<Json>& tests) {
  return std::all_of(tests.begin(), tests.end(),
                     [&](const Json& test) { return test["expected"] == tests[0]["expected"]; });
}

// A constant passes val where all of it expects one value.
void give_val_another_value(std::vector<Json>& val, std::vector<Json>& others) {
  if (val.size() < 2 || !expects_one_value(val)) return;
  const auto other = std::find_if(others.begin(), others.end(), [&](const Json& test) {
    return test["expected"] != val[0]["expected"];
  });
  if (other != others.end()) std::swap(val.front(), *other);
}

std::vector<std::string> split_at_commas(const std::string& text) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, ',');) parts.push_back(part);
  return parts;
}

// What is said once of a whole run.
class Summary {
 public:
  void add_row(const BenchmarkRow& row) {
    for (const auto& [column, count] : row.unread) unread_[column] += count;
  }
  void add_task(const Json& task) {
    ++num_tasks_;
    const std::string id = task["id"];
    if (task["tests"]["val"].size() < kFewValTests) few_.push_back(id);
    if (task["tests"]["public"].empty()) without_public_.push_back(id);
    if (task["tests"]["hidden"].empty()) without_hidden_.push_back(id);
  }
  void log_all() const {
    if (!unread_.empty()) log::info("columns that are not read: {}", list_fields(unread_));
    log_tasks(without_public_, "have too few different tests for a public one", "");
    log_tasks(without_hidden_, "have too few different tests for a hidden one", "");
    log_tasks(few_, fmt::format("have fewer than {} different val tests", kFewValTests),
              ", which an answer may pass that does not solve the task; --augment N adds some");
  }

 private:
  void log_tasks(const std::vector<std::string>& ids, const std::string& what,
                 const std::string& why) const {
    if (ids.empty()) return;
    log::warn("{} of {} tasks {}{}. They are {}", ids.size(), num_tasks_, what, why,
              fmt::join(ids, ", "));
  }

  FieldCounts unread_;
  std::vector<std::string> few_, without_public_, without_hidden_;
  int64_t num_tasks_ = 0;
};

}  // namespace

void PrepareTasksConfig::validate() const {
  if (!is_benchmark(dataset)) {
    throw InputError("dataset: expected one of " + benchmark_names() + ", got \"" + dataset + "\"");
  }
  if (augment < 0 || augment > 1000) {
    throw InputError("augment: expected 0 to 1000, got " + std::to_string(augment));
  }
  if (cpu_ms < 1) throw InputError("cpu_ms: expected at least 1, got " + std::to_string(cpu_ms));
}

Json split_tests(const Recording& recording, const std::vector<Json>& further) {
  std::vector<Json> distinct;
  std::set<std::string> seen;
  for (size_t i = 0; i < recording.tests.size(); ++i) {
    if (seen.insert(recording.inputs[i].identity).second) distinct.push_back(recording.tests[i]);
  }
  const bool has_public = distinct.size() + further.size() > 1;
  std::vector<Json> shown, val, hidden;
  for (size_t i = 0; i < distinct.size(); ++i) {
    (i == 0 && has_public ? shown : i % 2 == 1 || i == 0 ? val : hidden).push_back(distinct[i]);
  }
  val.insert(val.end(), further.begin(), further.end());
  give_val_another_value(val, hidden);
  give_val_another_value(val, shown);
  return {{"public", shown}, {"val", val}, {"hidden", hidden}};
}

void run_prepare_tasks(const PrepareTasksConfig& config) {
  Preparer preparer(config);
  JsonlWriter writer(config.out);
  const auto paths = split_at_commas(config.in);
  int64_t num_rows = 0, num_failed = 0;
  for (const auto& path : paths) num_rows += count_rows(path);
  Progress progress("prepare_tasks", num_rows, "tasks");
  Summary summary;
  for (const auto& path : paths) {
    JsonlReader reader(path);
    for (JsonlLine line; !stop_signal() && reader.next(line); progress.advance()) {
      std::string problem = line.error;
      try {
        if (problem.empty()) {
          const auto row = parse_benchmark_row(config.dataset, line.value, reader.where(line));
          summary.add_row(row);
          const Json task = preparer.prepare(row, problem);
          if (problem.empty()) {
            writer.write(task);
            summary.add_task(task);
          } else {
            problem = row.id + ": " + problem;
          }
        }
      } catch (const InputError& error) {
        problem = error.what();
      }
      if (problem.empty()) continue;
      log::error("{}", problem);
      ++num_failed;
    }
  }
  throw_if_stopped();
  summary.log_all();
  if (num_failed > 0) {
    throw Error("prepare_tasks: " + std::to_string(num_failed) + " rows gave no task, see above");
  }
}

}  // namespace weft
