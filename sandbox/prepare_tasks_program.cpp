#include "sandbox/prepare_tasks_program.h"

#include <algorithm>
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

// HumanEval, and HumanEval+ and MBPP+ as EvalPlus gives them: with lists of inputs, or with a
// check.
BenchmarkRow parse_humaneval(const Json& row, const std::string& where) {
  BenchmarkRow parsed;
  parsed.id = text_of(row, "task_id", where);
  parsed.prompt = text_of(row, "prompt", where);
  ReferenceTask& reference = parsed.reference;
  reference.code = parsed.prompt + text_of(row, "canonical_solution", where);
  reference.entry_point = text_of(row, "entry_point", where);
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
  for (const auto& left_out : recording.problems) log::warn("{}: {}", row.id, left_out);
  if (recording.tests.empty()) {
    problem = "no test could be recorded";
    return {};
  }
  const Verdict verdict = judge_reference(row, recording);
  if (verdict.passed != verdict.declared) {
    problem = "the reference does not pass its own tests: " + verdict.row_verdict();
    return {};
  }
  return {{"id", row.id},
          {"dataset", config_.dataset},
          {"kind", "code"},
          {"prompt", row.prompt},
          {"entry_point", recording.entry_point},
          {"tests", split_tests(recording.tests)}};
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
  Json split{{"public", Json::array()}, {"val", Json::array()}, {"hidden", Json::array()}};
  const size_t count = tests.size();
  if (count > 0) split["public"].push_back(tests[0]);
  if (count == 1 || count == 2) split["val"].push_back(tests[0]);
  if (count == 1 || count == 2) split["hidden"].push_back(tests[count - 1]);
  for (size_t i = 1; count > 2 && i < count; ++i) {
    split[i % 2 == 1 ? "val" : "hidden"].push_back(tests[i]);
  }
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
