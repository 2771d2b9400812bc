#include "sandbox/recorder.h"

#include <algorithm>

#include "sandbox/embedded.h"
#include "sandbox/judge_run.h"
#include "sandbox/slot_pool.h"

namespace weft {
namespace {

constexpr size_t kInputsAtATime = 100;  // a frame holds their values

std::vector<PythonValue> arguments_of(const ReferenceTask& task, const Json& inputs) {
  const auto str = [](const std::string& text) { return PythonValue::str(text); };
  switch (task.form) {
    case ReferenceTask::Form::kCheck:
      return {str("check"), str(task.code), str(task.entry_point), str(task.tests.at(0))};
    case ReferenceTask::Form::kAsserts: {
      std::vector<PythonValue> tests;
      for (const auto& test : task.tests) tests.push_back(str(test));
      return {str("asserts"), str(task.code), str(task.before),
              PythonValue::list(std::move(tests))};
    }
    case ReferenceTask::Form::kInputs:
      return {str("inputs"), str(task.code), str(task.entry_point),
              value_from_json(inputs, "inputs"), PythonValue::real_number(task.absolute_tolerance)};
  }
  return {};
}

// A record as the recorder gives it, as a test.
Json test_of(const PythonValue& record) {
  Json test = value_to_json(record);
  const auto args = test.find("args");
  if (args != test.end()) *args = args->at("$tuple");
  return test;
}

Recording failed(const std::string& how) {
  Recording recording;
  recording.problems.push_back("the recording failed: " + how);
  return recording;
}

}  // namespace

Recording Recorder::record_part(const ReferenceTask& task, const Json& inputs) const {
  auto lease = sandbox_.slots().acquire(SlotPool::Use::kCandidate);
  JobSpec spec;
  spec.memory_mb = limits_.memory_mb;
  spec.cpu_seconds = limits_.cpu_ms / 1000 * 8 + 10;
  const auto job = PythonValue::tuple({PythonValue::str(std::string(recorder_source())),
                                       PythonValue::str(""), PythonValue::str("record")});
  const auto result = SlotPool::run_retried(lease, [&] {
    return call_once(lease.zygote(), spec, limits_of(limits_, sandbox_.time_scale()), job,
                     arguments_of(task, inputs));
  });
  if (!result.value) return failed(result.failure);
  const auto& parts = result.value->items;
  if (parts.size() != 3) return failed("malformed");
  Recording recording;
  for (const auto& record : parts[0].items) recording.tests.push_back(test_of(record));
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
    std::move(recording.problems.begin(), recording.problems.end(),
              std::back_inserter(whole.problems));
  }
  return whole;
}

}  // namespace weft
