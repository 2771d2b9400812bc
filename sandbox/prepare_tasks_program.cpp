#include "sandbox/prepare_tasks_program.h"

#include <algorithm>
#include <set>
#include <sstream>

#include "base/error.h"
#include "base/jsonl.h"
#include "base/log.h"
#include "base/progress.h"
#include "base/stop.h"
#include "sandbox/judge_program.h"

namespace weft {
namespace {

using Form = ReferenceTask::Form;

std::string text_of(const Json& row, const char* key, const std::string& where) {
  return get_field<std::string>(row, key, where);
}

std::vector<std::string> texts_of(const Json& row, const char* key, const std::string& where) {
  std::vector<std::string> texts;
  for (const auto& text : get_field_or<Json>(row, key, Json::array(), where)) {
    if (!text.is_string()) throw InputError(where + ": " + key + ": expected an array of strings");
    texts.push_back(text.get<std::string>());
  }
  return texts;
}

// The imports and helpers of a prompt, which an answer that is only the function takes as given.
std::string before_entry_point(const std::string& prompt, const std::string& entry_point) {
  const std::string header = "def " + entry_point + "(";
  size_t place = prompt.find(header);
  while (place != std::string::npos && place > 0 && prompt[place - 1] != '\n') {
    place = prompt.find(header, place + 1);
  }
  const std::string setup = prompt.substr(0, place == std::string::npos ? 0 : place);
  const size_t last = setup.find_last_not_of(" \t\r\n");
  return last == std::string::npos ? "" : setup.substr(0, last + 1) + "\n";
}

// HumanEval, and HumanEval+ and MBPP+ as EvalPlus gives them: with lists of inputs, or with a
// check.
BenchmarkRow parse_humaneval(const Json& row, const std::string& where) {
  BenchmarkRow parsed;
  parsed.id = text_of(row, "task_id", where);
  parsed.prompt = text_of(row, "prompt", where);
  ReferenceTask& reference = parsed.reference;
  reference.code = parsed.prompt + text_of(row, "canonical_solution", where);
  reference.entry_point = text_of(row, "entry_point", where);
  parsed.setup = before_entry_point(parsed.prompt, reference.entry_point);
  if (row.contains("base_input")) {
    reference.form = Form::kInputs;
    for (const char* key : {"base_input", "plus_input"}) {
      const Json inputs = get_field_or<Json>(row, key, Json::array(), where);
      if (!inputs.is_array()) throw_field_error(where, key, "an array", &inputs);
      for (const auto& input : inputs) reference.inputs.push_back(input);
    }
    reference.absolute_tolerance = get_field_or<double>(row, "atol", 0, where);
  } else {
    reference.tests = {text_of(row, "test", where)};
  }
  return parsed;
}

BenchmarkRow parse_mbpp(const Json& row, const std::string& where) {
  BenchmarkRow parsed;
  const Json id = get_field<Json>(row, "task_id", where);
  parsed.id = id.is_string() ? id.get<std::string>() : "mbpp/" + dump_json(id);
  ReferenceTask& reference = parsed.reference;
  reference.form = Form::kAsserts;
  reference.code = text_of(row, "code", where);
  reference.before = get_field_or<std::string>(row, "test_setup_code", "", where);
  for (const auto& line : texts_of(row, "test_imports", where)) reference.before += line + "\n";
  reference.tests = texts_of(row, "test_list", where);
  for (auto& test : texts_of(row, "challenge_test_list", where)) {
    reference.tests.push_back(std::move(test));
  }
  if (reference.tests.empty()) throw InputError(where + ": test_list: expected asserts");
  parsed.prompt =
      row.contains("text") ? text_of(row, "text", where) : text_of(row, "prompt", where);
  parsed.prompt += "\nYour code should pass this test:\n" + reference.tests[0] + "\n";
  return parsed;
}

// Everything of a run that a row needs.
class Preparer {
 public:
  explicit Preparer(const PrepareTasksConfig& config)
      : config_(config),
        sandbox_(sandbox_options(config)),
        judge_(sandbox_),
        recorder_(sandbox_, limits(config)) {}

  // The task's line, or the reason why there is none.
  Json prepare(const BenchmarkRow& row, std::string& problem);

 private:
  static SandboxOptions sandbox_options(const PrepareTasksConfig& config) {
    SandboxOptions options;
    options.num_slots = 1;
    options.min_tier = config.min_tier;
    options.packages = config.packages;
    return options;
  }
  static Limits limits(const PrepareTasksConfig& config) {
    Limits limits;
    limits.cpu_ms = config.cpu_ms;
    limits.memory_mb = config.memory_mb;
    return limits;
  }
  Verdict judge_reference(const BenchmarkRow& row, const Recording& recording);

  const PrepareTasksConfig& config_;
  Sandbox sandbox_;
  Judge judge_;
  Recorder recorder_;
};

Verdict Preparer::judge_reference(const BenchmarkRow& row, const Recording& recording) {
  JudgeRequest request;
  request.code = row.reference.code;
  request.entry_point = recording.entry_point;
  request.tests = recording.tests;
  request.limits = limits(config_);
  return judge_.run(request);
}

Json Preparer::prepare(const BenchmarkRow& row, std::string& problem) {
  const Recording recording = recorder_.record(row.reference);
  if (!recording.problems.empty()) {
    problem = "not every test of the benchmark could be recorded: " + recording.problems.front();
    return {};
  }
  if (recording.tests.empty()) {
    problem = "no test could be recorded";
    return {};
  }
  const Verdict verdict = judge_reference(row, recording);
  if (verdict.passed != verdict.declared) {
    problem = "the reference does not pass its own tests: " + verdict.row_verdict();
    return {};
  }
  Json tests = split_tests(recording.tests);
  tests["official"] = recording.tests;
  Json task{
      {"id", row.id},         {"dataset", config_.dataset},           {"kind", "code"},
      {"prompt", row.prompt}, {"entry_point", recording.entry_point}, {"tests", std::move(tests)}};
  if (!row.setup.empty()) task["setup"] = row.setup;
  return task;
}

// What a test runs, whatever it expects: two tests of one identity are the same test.
std::string identity_of(const Json& test) {
  Json what = test;
  for (const char* key : {"expected", "compare", "output"}) what.erase(key);
  return dump_json(what);
}

bool has_one_value(const std::vector<Json>& tests) {
  return std::all_of(tests.begin(), tests.end(),
                     [&](const Json& test) { return test["expected"] == tests[0]["expected"]; });
}

// A constant passes val where all of it expects one value: its last test then changes places with a
// hidden one that expects another.
void make_room_for_another_value(std::vector<Json>& val, std::vector<Json>& hidden) {
  if (val.size() < 2 || !has_one_value(val)) return;
  const auto other = std::find_if(hidden.begin(), hidden.end(), [&](const Json& test) {
    return test["expected"] != val[0]["expected"];
  });
  if (other != hidden.end()) std::swap(val.back(), *other);
}

std::vector<std::string> split_at_commas(const std::string& text) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, ',');) parts.push_back(part);
  return parts;
}

}  // namespace

void PrepareTasksConfig::validate() const {
  const char* known[] = {"humaneval", "humaneval_plus", "mbpp", "mbpp_plus"};
  if (std::find(std::begin(known), std::end(known), dataset) == std::end(known)) {
    throw InputError("dataset: expected humaneval, humaneval_plus, mbpp or mbpp_plus, got \"" +
                     dataset + "\"");
  }
  if (cpu_ms < 1) throw InputError("cpu_ms: expected at least 1, got " + std::to_string(cpu_ms));
}

BenchmarkRow parse_benchmark_row(const std::string& dataset, const Json& row,
                                 const std::string& where) {
  if (!row.is_object()) {
    throw InputError(where + ": expected an object, got " + describe_type(row));
  }
  const bool has_asserts = dataset.starts_with("mbpp") && row.contains("test_list");
  return has_asserts ? parse_mbpp(row, where) : parse_humaneval(row, where);
}

Json split_tests(const std::vector<Json>& tests) {
  std::vector<const Json*> distinct;
  std::set<std::string> seen;
  for (const auto& test : tests) {
    if (seen.insert(identity_of(test)).second) distinct.push_back(&test);
  }
  const size_t count = distinct.size();
  std::vector<Json> val, hidden;
  for (size_t i = count > 1 ? 1 : 0; i < count; ++i) {
    (i % 2 == 1 || count == 1 ? val : hidden).push_back(*distinct[i]);
  }
  make_room_for_another_value(val, hidden);
  Json split{{"public", Json::array()}, {"val", val}, {"hidden", hidden}};
  if (count > 1) split["public"].push_back(*distinct[0]);
  return split;
}

void run_prepare_tasks(const PrepareTasksConfig& config) {
  Preparer preparer(config);
  JsonlWriter writer(config.out);
  const auto paths = split_at_commas(config.in);
  int64_t num_rows = 0, num_failed = 0;
  for (const auto& path : paths) num_rows += count_rows(path);
  Progress progress("prepare_tasks", num_rows, "tasks");
  for (const auto& path : paths) {
    JsonlReader reader(path);
    for (JsonlLine line; !stop_signal() && reader.next(line); progress.advance()) {
      std::string problem = line.error;
      try {
        if (problem.empty()) {
          const auto row = parse_benchmark_row(config.dataset, line.value, reader.where(line));
          const Json task = preparer.prepare(row, problem);
          if (problem.empty()) writer.write(task);
          if (!problem.empty()) problem = row.id + ": " + problem;
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
  if (num_failed > 0) {
    throw Error("prepare_tasks: " + std::to_string(num_failed) + " rows gave no task, see above");
  }
}

}  // namespace weft
