#include "sandbox/recorder/prepare_tasks_program.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <sstream>

#include "base/check.h"
#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/jsonl.h"
#include "base/log.h"
#include "base/machine.h"
#include "base/progress.h"
#include "base/stop.h"
#include "base/unfinished_file.h"
#include "data/benchmarks/aflow_splits.h"
#include "data/benchmarks/document.h"
#include "data/file_digest.h"
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

SandboxOptions sandbox_options(const PrepareTasksConfig& config, unsigned hash_seed) {
  SandboxOptions options;
  options.num_slots = 1;
  options.min_tier = config.min_tier;
  options.packages = config.packages;
  options.hash_seed = hash_seed;
  return options;
}

// Everything of a run that a row needs.
class Preparer {
 public:
  explicit Preparer(const PrepareTasksConfig& config)
      : config_(config),
        sandbox_(sandbox_options(config, 0)),
        judge_(sandbox_),
        recorder_(sandbox_, limits(config), stop_flag()) {
    if (config.augment == 0) return;
    other_sandbox_.emplace(sandbox_options(config, 1));
    other_judge_.emplace(*other_sandbox_);
  }

  // The task's line, or the reason why there is none. Throws Interrupted.
  Json prepare(const BenchmarkRow& row, std::string& problem);

  // Why the row's checker cannot judge answers: its reference fails. Else empty.
  std::string checker_problem(const BenchmarkRow& row);

 private:
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
    throw_if_stopped();
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
  request.cancelled = stop_flag();
  return request;
}

std::vector<Json> Preparer::further_tests(const BenchmarkRow& row, const Recording& recording) {
  const std::string& code = row.references[0].code;
  const uint64_t seed = hash_combine(hash64(row.id), config_.seed);
  const Recording further = recorder_.further_tests(
      recording, row.guarded_code.empty() ? code : row.guarded_code, config_.augment, seed);
  throw_if_stopped();
  for (const auto& problem : further.problems)
    log::warn("{}: no further tests: {}", row.id, problem);
  if (further.tests.empty()) return {};
  const Verdict verdict = other_judge_->run(request(code, recording.entry_point, further.tests));
  throw_if_stopped();
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
  throw_if_stopped();
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

std::string Preparer::checker_problem(const BenchmarkRow& row) {
  JudgeRequest own = request(row.checked_code, row.entry_point, row.tests);
  own.mode = Mode::kJudge;
  own.checker = row.checker;
  const Verdict verdict = judge_.run(own);
  throw_if_stopped();
  const std::string opening = "its tests cannot be asked from a process of their own: ";
  if (verdict.infra) return opening + verdict.tests.at(0).detail;
  if (verdict.passed != verdict.declared) {
    return fmt::format("{}the reference passes {} of {}, the first other one ends with {}", opening,
                       verdict.passed, verdict.declared, verdict.row_verdict());
  }
  own.tests.clear();
  for (const RowTrial& trial : row.trials) own.tests.push_back(trial.test);
  own.stop_at_first_failure = true;
  const Verdict trial = judge_.run(own);
  throw_if_stopped();
  for (size_t i = 0; i < trial.tests.size(); ++i) {
    if (trial.tests[i].verdict != TestVerdict::kPass) return opening + row.trials[i].problem;
  }
  return "";
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
    const auto [same, is_new] = questions_.emplace(hash64(task["prompt"].get<std::string>()), id);
    if (!is_new) repeated_.push_back(id + " as " + same->second);
    if (task["kind"] != "code") return;
    if (task["tests"]["val"].size() < kFewValTests) few_.push_back(id);
    if (task["tests"]["public"].empty()) without_public_.push_back(id);
    if (task["tests"]["hidden"].empty()) without_hidden_.push_back(id);
  }
  int64_t num_tasks() const { return num_tasks_; }
  void log_all() const {
    log_tasks(repeated_, "ask what another asks", "");
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
  std::map<uint64_t, std::string> questions_;
  std::vector<std::string> repeated_, few_, without_public_, without_hidden_;
  int64_t num_tasks_ = 0;
};

// Which rows belong to the part of the benchmark that is asked for.
class Part {
 public:
  explicit Part(const PrepareTasksConfig& config) : config_(config) {
    if (config.split != "all") aflow_ = aflow_split(config.dataset);
  }
  bool has(const BenchmarkRow& row) {
    if (!aflow_) return true;
    if (row.split_key.empty()) return false;
    const bool is_validation = aflow_->has(row.split_key);
    ++(is_validation ? validation_ : test_);
    return is_validation == (config_.split == "aflow_validation");
  }
  // Throws where the files were not those that AFlow divides.
  void require_whole() const {
    if (!aflow_) return;
    const auto validation = std::ssize(aflow_->validation);
    const bool all_there = validation_ == validation && (config_.split == "aflow_validation" ||
                                                         validation_ + test_ == aflow_->rows);
    if (all_there) return;
    throw Error(
        fmt::format("split: AFlow's validation has {} rows of {} and its test {}, but the "
                    "files have {} and {}: are they the benchmark's own, and all of them?",
                    validation, config_.dataset, aflow_->rows - validation, validation_, test_));
  }

 private:
  const PrepareTasksConfig& config_;
  std::optional<AflowSplit> aflow_;
  int64_t validation_ = 0, test_ = 0;
};

// One run of the program.
class PrepareRun {
 public:
  explicit PrepareRun(const PrepareTasksConfig& config)
      : config_(config), part_(config), file_(config.out), writer_(file_.path()) {}

  void read(const std::string& path, Progress& progress) {
    int64_t index = 0;
    const auto take = [&](const Json& value, const std::string& where, std::string problem) {
      throw_if_stopped();
      try {
        if (problem.empty()) problem = add(value, where, index);
      } catch (const InputError& error) {
        problem = error.what();
      }
      ++index;
      progress.advance();
      if (problem.empty()) return;
      log::error("{}", problem);
      ++num_failed_;
    };
    if (const auto document = read_document(config_.dataset, path)) {
      for (const DocumentRow& row : *document) take(row.row, row.where, row.problem);
    } else {
      JsonlReader reader(path);
      for (JsonlLine line; reader.next(line);) take(line.value, reader.where(line), line.error);
    }
    if (index == 0) {
      throw InputError((path == "-" ? "standard input" : path) + ": expected rows, got none");
    }
    Json source{{"path", path}, {"rows", index}};
    if (path != "-") source["sha256"] = file_sha256(path);
    sources_.push_back(std::move(source));
  }

  void finish() {
    part_.require_whole();
    summary_.log_all();
    const std::string licence = benchmark_licence(config_.dataset);
    log::info("{}: {} tasks ({}), licence: {}", config_.dataset, summary_.num_tasks(),
              config_.split, licence);
    file_.publish();
    if (config_.out != "-") {
      write_file_atomically(config_.out + ".source.json", Json{{"dataset", config_.dataset},
                                                               {"licence", licence},
                                                               {"split", config_.split},
                                                               {"tasks", summary_.num_tasks()},
                                                               {"files", sources_}}
                                                                  .dump(2) +
                                                              "\n");
    }
    if (num_failed_ > 0) {
      throw Error("prepare_tasks: " + std::to_string(num_failed_) +
                  " rows gave no task, see above");
    }
  }

 private:
  // Why the row gives no task; empty where it does, or belongs to another split.
  std::string add(const Json& value, const std::string& where, int64_t index) {
    const auto row = parse_benchmark_row(config_.dataset, value, where, index);
    summary_.add_row(row);
    if (!part_.has(row)) return "";
    if (!ids_.insert(row.id).second) return where + ": id \"" + row.id + "\" was used before";
    std::string problem;
    if (!row.checker.empty()) problem = preparer().checker_problem(row);
    if (!problem.empty()) return row.id + ": " + problem;
    const Json task = row.references.empty() ? given_task(config_.dataset, row)
                                             : preparer().prepare(row, problem);
    if (!problem.empty()) return row.id + ": " + problem;
    writer_.write(task);
    summary_.add_task(task);
    return "";
  }
  Preparer& preparer() {
    if (!preparer_) preparer_.emplace(config_);
    return *preparer_;
  }

  const PrepareTasksConfig& config_;
  std::optional<Preparer> preparer_;  // with a sandbox, for rows whose reference has to be run
  Part part_;
  UnfinishedFile file_;
  JsonlWriter writer_;
  Summary summary_;
  std::set<std::string> ids_;
  Json sources_ = Json::array();
  int64_t num_failed_ = 0;
};

}  // namespace

void PrepareTasksConfig::validate() const {
  if (!is_benchmark(dataset)) {
    throw InputError("dataset: expected one of " + benchmark_names() + ", got \"" + dataset + "\"");
  }
  if (split != "all" && split != "aflow_validation" && split != "aflow_test") {
    throw InputError("split: expected all, aflow_validation or aflow_test, got \"" + split + "\"");
  }
  const auto aflow = aflow_split(dataset);
  if (split != "all" && !aflow) throw InputError("split: AFlow has none of " + dataset);
  if (split == "aflow_test" && aflow->rows == 0) {
    throw InputError("split: which rows of " + dataset +
                     " AFlow tests on is known by its own file alone: read that one, whole");
  }
  if (augment < 0 || augment > 1000) {
    throw InputError("augment: expected 0 to 1000, got " + std::to_string(augment));
  }
  require_threads("threads", threads);
  require_at_least("cpu_ms", cpu_ms, 1);
  require_at_least("memory_mb", memory_mb, 1);
  require_memory_mb("memory_mb", memory_mb);
}

void PrepareTasksConfig::check_start(StartCheck& check) const {
  for (const std::string& path : split_at_commas(in)) check.file("in", path);
  check.output_file("out", out);
  if (augment > 0) check_sandbox(sandbox_options(*this, 0), check);
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
  PrepareRun run(config);
  const auto paths = split_at_commas(config.in);
  int64_t num_rows = 0;
  for (const auto& path : paths) num_rows += count_rows(path);
  Progress progress("prepare_tasks", num_rows, "tasks");
  for (const auto& path : paths) run.read(path, progress);
  run.finish();
}

}  // namespace weft
