#include "sandbox/workflow/exec_report.h"

#include "data/task_tests.h"

namespace weft {
namespace {

constexpr size_t kMaxLiteral = 500;

PythonValue dict(std::vector<std::pair<const char*, PythonValue>> fields) {
  PythonValue value;
  value.kind = PythonValue::Kind::kDict;
  for (auto& [key, item] : fields) {
    value.items.push_back(PythonValue::str(key));
    value.items.push_back(std::move(item));
  }
  return value;
}

std::string literal(const Json& json) {
  return python_literal(value_from_json(json, "test"), kMaxLiteral);
}

std::string arguments_of(const Json& test) {
  std::string text;
  const auto append = [&text](const std::string& part) {
    text += (text.empty() ? "" : ", ") + part;
  };
  if (const auto args = test.find("args"); args != test.end()) {
    for (const auto& arg : *args) append(literal(arg));
  }
  if (const auto kwargs = test.find("kwargs"); kwargs != test.end()) {
    for (const auto& [key, value] : kwargs->items()) append(key + "=" + literal(value));
  }
  return text;
}

std::string test_case(const std::string& entry_point, const Json& test) {
  const bool has_output = test.contains("output");
  if (!test.contains("expected") && !test.contains("code") && !has_output) {  // a checker's
    return "check(" + entry_point + ", " + literal(test) + ")";
  }
  if (const auto input = test.find("input"); input != test.end() && has_output) {
    return "input " + literal(*input) + ", expected output " + literal(test.at("output"));
  }
  if (const auto code = test.find("code"); code != test.end()) return code->get<std::string>();
  if (const auto call = test.find("call"); call != test.end()) {
    return "assert " + call->get<std::string>() + " == " + literal(test.at("expected"));
  }
  return "assert " + entry_point + "(" + arguments_of(test) +
         ") == " + literal(test.at("expected"));
}

std::string failure_text(const TestResult& result) {
  std::string text = result.verdict == TestVerdict::kError && !result.traceback.empty()
                         ? result.detail
                         : result.name();
  if (!result.error_message.empty()) text += ": " + result.error_message;
  if (!result.traceback.empty()) text += " (" + result.traceback.back() + ")";
  return text;
}

}  // namespace

JudgeRequest exec_request(const std::string& solution, const std::string& entry_point,
                          const std::vector<Json>& tests) {
  JudgeRequest request;
  request.code = solution;
  request.entry_point = entry_point;
  request.tests = tests;
  request.mode = are_stdio_tests(tests) ? Mode::kStdio : Mode::kCall;
  if (!tests.empty()) return request;
  Json arguments = Json::array();
  if (entry_point.empty()) {  // a program, which may wait for its input where it loads
    request.entry_point = "compiles_";
    request.code = "def compiles_(source): return bool(compile(source, 'solution', 'exec'))\n";
    arguments.push_back(solution);
  } else {
    request.entry_point = "is_defined_";
    request.code += "\n\ndef is_defined_(): return callable(" + entry_point + ")\n";
  }
  request.tests = {{{"args", arguments}, {"expected", true}}};
  return request;
}

PythonValue exec_report(const std::string& entry_point, const std::vector<Json>& tests,
                        const Verdict& verdict) {
  std::vector<PythonValue> failures;
  for (size_t i = 0; i < verdict.tests.size(); ++i) {
    const TestResult& result = verdict.tests[i];
    if (result.verdict == TestVerdict::kPass) continue;
    if (result.verdict != TestVerdict::kWrong || tests.empty()) {
      return dict({{"exec_fail_case", PythonValue::str(failure_text(result))}});
    }
    const std::string test = test_case(entry_point, tests[i]);
    const std::string message = "got " + result.got;
    failures.push_back(
        dict({{"test_case", PythonValue::str(test)},
              {"error_type", PythonValue::str("AssertionError")},
              {"error_message", PythonValue::str(message)},
              {"traceback", PythonValue::list({PythonValue::str(test),
                                               PythonValue::str("AssertionError: " + message)})}}));
  }
  return failures.empty() ? PythonValue::str("no error") : PythonValue::list(std::move(failures));
}

}  // namespace weft
