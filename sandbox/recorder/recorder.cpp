#include "sandbox/recorder/recorder.h"

#include <algorithm>

#include "sandbox/jail/slot_pool.h"
#include "sandbox/recorder/embedded.h"

namespace weft {
namespace {

constexpr size_t kInputsAtATime = 100;  // a frame holds their values
constexpr uint64_t kMutatorSeed = 1;    // of `random`; a judged process has 0

PythonValue str(std::string_view text) { return PythonValue::str(std::string(text)); }

// (form, ...) as record() of runtime/recorder.py takes them.
std::vector<PythonValue> arguments_of(const ReferenceTask& task, const Json& inputs) {
  switch (task.form) {
    case ReferenceTask::Form::kCheck:
      return {str("check"), str(task.code), str(task.entry_point), str(task.tests.at(0))};
    case ReferenceTask::Form::kAsserts: {
      std::vector<PythonValue> tests;
      for (const auto& test : task.tests) tests.push_back(str(test));
      return {str("asserts"), str(task.code), str(task.before), PythonValue::list(std::move(tests)),
              str(task.entry_point)};
    }
    case ReferenceTask::Form::kProgram:
      return {str("program"), str(task.code), str(task.before), str(task.tests.at(0)),
              str(task.entry_point)};
    case ReferenceTask::Form::kInputs:
      return {str("inputs"),
              str(task.code),
              str(task.entry_point),
              value_from_json(inputs, "inputs"),
              PythonValue::real_number(task.absolute_tolerance),
              str(task.shape),
              str(task.tests.empty() ? "" : task.tests[0])};
  }
  return {};
}

// A record of the runtime as a test.
Json test_of(const PythonValue& record) {
  Json test = value_to_json(record);
  const auto args = test.find("args");
  if (args != test.end()) *args = args->at("$tuple");
  return test;
}

// `inputs` is (args, kwargs, shape) or None.
TestInput input_of(const PythonValue& record, const PythonValue& inputs, const Json& test) {
  TestInput input;
  if (inputs.items.size() != 3) {
    Json what = test;
    for (const char* key : {"expected", "compare"}) what.erase(key);
    input.identity = dump_json(what);
    return input;
  }
  input.identity =
      dump_json(Json::array({value_to_json(inputs.items[0]), value_to_json(inputs.items[1])}));
  PythonValue expected, compare, before = str("");
  for (size_t i = 0; i + 1 < record.items.size(); i += 2) {
    const std::string& key = record.items[i].text;
    if (key == "expected") expected = record.items[i + 1];
    if (key == "compare") compare = record.items[i + 1];
    if (key == "before") before = record.items[i + 1];
  }
  input.seed = PythonValue::tuple({inputs.items[0], inputs.items[1], inputs.items[2],
                                   std::move(expected), std::move(compare), std::move(before)});
  return input;
}

Recording failed(const std::string& how) {
  Recording recording;
  recording.problems.push_back("the recording failed: " + how);
  return recording;
}

// Python that makes an embedded text importable.
std::string module_text(const std::string& name, std::string_view source) {
  return "module = types.ModuleType('" + name + "')\nexec(compile(" + python_literal(str(source)) +
         ", '<" + name + ">', 'exec'), module.__dict__)\nsys.modules['" + name + "'] = module\n";
}

}  // namespace

// A call of a function that the embedded runtime defines.
CallResult Recorder::run_embedded(uint64_t seed, const std::string& function,
                                  const std::vector<PythonValue>& arguments) const {
  auto lease = sandbox_.slots().acquire(SlotPool::Use::kCandidate);
  JobSpec spec;
  spec.memory_mb = limits_.memory_mb;
  spec.scratch_mb = limits_.scratch_limit_mb(sandbox_.tier());
  spec.cpu_seconds = limits_.cpu_ms / 1000 * 8 + 10;
  spec.seed = seed;
  const std::string modules = "import sys, types\n" +
                              module_text("comparisons", comparisons_source()) +
                              module_text("recorder", recorder_source());
  const bool is_mutation = function == "further_tests";
  const auto job =
      PythonValue::tuple({str(is_mutation ? mutator_source() : "from recorder import record"),
                          str(modules), str(function)});
  JobLimits limits = limits_of(limits_, sandbox_.time_scale());
  limits.cancelled = cancelled_.get();
  return SlotPool::run_retried(
      lease, [&] { return call_once(lease.zygote(), spec, limits, job, arguments); });
}

Recording Recorder::record_part(const ReferenceTask& task, const Json& inputs) const {
  const auto result = run_embedded(0, "record", arguments_of(task, inputs));
  if (!result.value) return failed(result.failure());
  const auto& parts = result.value->items;
  if (parts.size() != 3) return failed("malformed");
  Recording recording;
  for (const auto& pair : parts[0].items) {
    recording.tests.push_back(test_of(pair.items.at(0)));
    recording.inputs.push_back(input_of(pair.items[0], pair.items.at(1), recording.tests.back()));
  }
  for (const auto& problem : parts[1].items) recording.problems.push_back(problem.text);
  recording.entry_point = parts[2].text;
  return recording;
}

Recording Recorder::record(const ReferenceTask& task) const {
  if (task.form != ReferenceTask::Form::kInputs) return record_part(task, {});
  Recording whole;
  whole.entry_point = task.entry_point;
  for (size_t start = 0; start < task.inputs.size(); start += kInputsAtATime) {
    Json part = Json::array();
    for (size_t i = start; i < std::min(start + kInputsAtATime, task.inputs.size()); ++i) {
      part.push_back(task.inputs[i]);
    }
    auto recording = record_part(task, part);
    std::move(recording.tests.begin(), recording.tests.end(), std::back_inserter(whole.tests));
    std::move(recording.inputs.begin(), recording.inputs.end(), std::back_inserter(whole.inputs));
    std::move(recording.problems.begin(), recording.problems.end(),
              std::back_inserter(whole.problems));
  }
  return whole;
}

Recording Recorder::further_tests(const Recording& recording, const std::string& code,
                                  int64_t count, uint64_t seed) const {
  std::vector<PythonValue> seeds;
  for (const auto& input : recording.inputs) {
    if (input.seed.kind == PythonValue::Kind::kTuple) seeds.push_back(input.seed);
  }
  if (seeds.empty()) return failed("no test has arguments that are plain data");
  const auto result =
      run_embedded(kMutatorSeed, "further_tests",
                   {str(code), str(recording.entry_point), PythonValue::list(std::move(seeds)),
                    PythonValue::integer(count), python_int(std::to_string(seed))});
  if (!result.value) return failed(result.failure());
  Recording further;
  for (const auto& record : result.value->items) further.tests.push_back(test_of(record));
  return further;
}

}  // namespace weft
